-- The thresholds of the rules that are switched on.
with thresholds as (
    select * from {{ ref('dim_alert_threshold') }}
),

final as (
    select
        rule,
        name,
        step,
        threshold_value,
        unit,
        severity,
        audience,
        rule_version
    from thresholds
    where is_enabled
)

select * from final
