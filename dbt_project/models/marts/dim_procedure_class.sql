with classes as (
    select * from {{ ref('procedure_class') }}
),

rules as (
    select * from {{ ref('stg_procedure_type_rule') }}
),

-- Classes of the site only: these have no display name but their own.
own_classes as (
    select distinct rules.procedure_type as procedure_class
    from rules
    anti join classes on rules.procedure_type = classes.procedure_class
    where rules.procedure_type != 'unclassified'
),

final as (
    select
        procedure_class,
        modality,
        body_region,
        specialty,
        complexity,
        name_en,
        name_fr,
        name_es,
        snomed_ct,
        radlex,
        acr_common,
        code_source,
        false as is_of_site
    from classes
    union all by name
    select
        procedure_class,
        procedure_class as name_en,
        procedure_class as name_fr,
        procedure_class as name_es,
        true as is_of_site
    from own_classes
    union all by name
    select
        'unclassified' as procedure_class,
        'Not classified' as name_en,
        'Non classé' as name_fr,
        'Sin clasificar' as name_es,
        false as is_of_site
)

select * from final
