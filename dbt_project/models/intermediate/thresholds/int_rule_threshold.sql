-- The thresholds in force: the seed's, changed where site.yaml changes them.
with rules as (
    select * from {{ ref('alert_rules') }}
),

settings as (
    select * from {{ ref('stg_alert_setting') }}
),

switched_off as (
    select rule from settings
    where name = 'enabled' and lower(setting_value) = 'false'
),

final as (
    select
        rules.rule,
        rules.name,
        rules.step,
        cast(coalesce(try_cast(settings.setting_value as double), rules.value) as double) as threshold_value,
        rules.value as default_value,
        rules.unit,
        rules.severity,
        rules.audience,
        cast(rules.rule_version as varchar)
        || case when settings.setting_value is not null then '+site' else '' end as rule_version,
        settings.setting_value is not null as is_changed,
        switched_off.rule is null as is_enabled,
        rules.source
    from rules
    left join settings on rules.rule = settings.rule and rules.name = settings.name
    left join switched_off on rules.rule = switched_off.rule
)

select * from final
