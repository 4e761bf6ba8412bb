{{ config(schema='marts') }}

-- What became of the findings of a rule: how many were answered, how many were false alarms, and how long answers took.
with alerts as (
    select * from {{ ref('alert') }}
),

actions as (
    select * from {{ ref('stg_alert_action') }}
    where acted_on_date is null or acted_on_date <= {{ as_of() }}
),

resolved as (
    {{ answers_to('alerts', 'actions') }}
),

answers as (
    select
        alert_id,
        min(acted_on_date) as answered_date,
        arg_max(action, row(coalesce(acted_on_date, date '0001-01-01'), line)) as last_action
    from resolved
    group by alert_id
),

final as (
    select
        alerts.rule,
        alerts.audience,
        cast(date_trunc('quarter', alerts.occurred_on) as date) as quarter,
        count(*) as fired,
        count(answers.alert_id) as answered,
        count(*) filter (where answers.last_action = 'false_alarm') as false_alarms,
        median(answers.answered_date - alerts.occurred_on) as median_days_to_answer
    from alerts
    left join answers on alerts.alert_id = answers.alert_id
    group by alerts.rule, alerts.audience, quarter
)

select * from final
