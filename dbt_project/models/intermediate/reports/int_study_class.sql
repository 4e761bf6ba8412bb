-- The procedure class of a study: by the site's rules, else by the shipped patterns.
with studies as (
    select * from {{ ref('int_study') }}
),

rules as (
    select * from {{ ref('stg_procedure_type_rule') }}
),

patterns as (
    select * from {{ ref('procedure_class_pattern') }}
),

classes as (
    select * from {{ ref('procedure_class') }}
),

texts as (
    select
        study_key as subject,
        modality,
        'procedure_code' as field,
        unnest(procedure_codes) as field_value
    from studies
    union all
    select
        study_key as subject,
        modality,
        'study_description' as field,
        study_description as field_value
    from studies
    union all
    select
        study_key as subject,
        modality,
        'requested_procedure' as field,
        requested_procedure as field_value
    from studies
    union all
    select
        study_key as subject,
        modality,
        'protocol' as field,
        protocol as field_value
    from studies
),

classified as (
    {{ classes_of('texts', 'rules', 'patterns', 'classes') }}
),

final as (
    select
        studies.study_key,
        coalesce(classified.procedure_type, 'unclassified') as procedure_type,
        classified.specialty,
        classified.class_source,
        classified.class_rule
    from studies
    left join classified on studies.study_key = classified.subject
)

select * from final
