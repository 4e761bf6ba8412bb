-- The floor of each rule for each role group: the group's own threshold, else that of the rule.
with thresholds as (
    select * from {{ ref('int_alert_threshold') }}
),

role_groups as (
    select * from {{ ref('role_groups') }}
),

final as (
    select
        general.rule,
        role_groups.role_group,
        coalesce(own.threshold_value, general.threshold_value) as floor_value
    from thresholds as general
    cross join role_groups
    left join thresholds as own
        on general.rule = own.rule and own.name = concat(general.name, '_', role_groups.role_group)
    where general.name = 'floor'
)

select * from final
