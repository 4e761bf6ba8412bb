with rules as (
    select * from {{ ref('stg_procedure_type_rule') }}
),

study_classes as (
    select * from {{ ref('int_study_class') }}
),

of_site as (
    select
        procedure_type,
        min_by(specialty, priority) as specialty,
        count(*) as matching_rules
    from rules
    group by procedure_type
),

-- Classes of studies that no rule of the site names: shipped ones.
shipped as (
    select
        study_classes.procedure_type,
        min(study_classes.specialty) as specialty,
        0 as matching_rules
    from study_classes
    anti join of_site on study_classes.procedure_type = of_site.procedure_type
    where study_classes.class_source = 'shipped'
    group by study_classes.procedure_type
),

final as (
    select * from of_site
    union all
    select * from shipped
    union all
    select
        'unclassified' as procedure_type,
        cast(null as varchar) as specialty,
        0 as matching_rules
)

select * from final
