-- Thresholds that a site cannot change; those of alert rules are in dim_alert_threshold.
with thresholds as (
    select * from {{ ref('comparison_thresholds') }}
),

final as (
    select
        name,
        value,
        unit,
        source
    from thresholds
)

select * from final
