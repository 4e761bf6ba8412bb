with rules as (
    select * from {{ ref('stg_procedure_type_rule') }}
),

final as (
    select
        procedure_type,
        min_by(specialty, priority) as specialty,
        count(*) as matching_rules
    from rules
    group by procedure_type
    union all
    select
        'unclassified' as procedure_type,
        cast(null as varchar) as specialty,
        0 as matching_rules
)

select * from final
