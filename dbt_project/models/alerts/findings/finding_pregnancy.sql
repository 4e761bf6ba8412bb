-- Dose under the apron since a pregnancy was declared that reaches a step of the limit; one finding, for the highest step.
with limits as (
    select
        *,
        -- Rounded, so that a dose of exactly the step reaches it.
        round(100 * fraction_of_limit, 9) as percent_of_limit
    from {{ ref('fct_operator_limit') }}
    where "window" = 'pregnancy'
),

site as (
    select * from {{ ref('stg_site') }}
),

steps as (
    select * from {{ ref('int_alert_threshold') }}
    where rule = 'pregnancy'
),

fired as (
    select
        site.site_id,
        limits.operator_id,
        cast(null as varchar) as study_name,
        cast(null as varchar) as procedure_id,
        cast(null as varchar) as room_id,
        concat_ws('/', steps.step, limits.limit_rule) as step,
        limits.limit_rule,
        limits."window" as dose_window,
        limits.window_begin as period_date,
        least(limits.window_end, {{ as_of() }}) as occurred_on,
        'hp10_under_apron' as quantity,
        limits.percent_of_limit as finding_value,
        steps.threshold_value as threshold,
        steps.unit,
        cast(null as bigint) as n_reference,
        steps.severity,
        steps.audience,
        steps.rule_version,
        format(
            '{:.2f} mSv under the apron since {} of the limit of {:.0f} mSv.',
            limits.dose_msv,
            limits.window_begin,
            limits.limit_msv
        ) as message
    from limits
    cross join site
    inner join steps on limits.percent_of_limit >= steps.threshold_value
    qualify row_number() over (
        partition by limits.operator_id, limits.limit_rule order by steps.threshold_value desc
    ) = 1
),

final as (
    select
        {{ operator_finding('pregnancy', sets=['limit_rule', 'dose_window']) }}
    from fired
)

select * from final
