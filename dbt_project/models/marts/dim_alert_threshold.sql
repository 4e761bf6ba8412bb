with thresholds as (
    select * from {{ ref('int_rule_threshold') }}
),

final as (
    select * from thresholds
)

select * from final
