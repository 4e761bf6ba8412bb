{{ config(meta={'dagster': {'ref': {'name': 'stg_alert_setting'}}}) }}

-- A row is a setting of site.yaml under "alerts" whose rule has no threshold of that name: it would have no effect.
with settings as (
    select * from {{ ref('stg_alert_setting') }}
),

rules as (
    select * from {{ ref('alert_rules') }}
),

final as (
    select settings.*
    from settings
    left join rules on settings.rule = rules.rule and settings.name = rules.name
    where rules.rule is null and settings.name != 'enabled'
)

select * from final
