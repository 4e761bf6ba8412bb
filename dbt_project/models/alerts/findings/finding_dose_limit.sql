-- Actual or projected dose that reaches a step of a limit; one finding for each limit, for the highest step reached.
with limits as (
    select
        *,
        -- Rounded, so that a dose of exactly the step reaches it.
        round(100 * greatest(fraction_of_limit, projected_fraction), 9) as percent_of_limit
    from {{ ref('fct_operator_limit') }}
    where "window" != 'pregnancy'
),

site as (
    select * from {{ ref('stg_site') }}
),

steps as (
    select * from {{ ref('int_alert_threshold') }}
    where rule = 'dose_limit'
),

fired as (
    select
        site.site_id,
        limits.operator_id,
        cast(null as varchar) as study_name,
        cast(null as varchar) as procedure_id,
        cast(null as varchar) as room_id,
        concat_ws('/', steps.step, limits.quantity, limits."window", limits.limit_rule) as step,
        limits.limit_rule,
        limits."window" as dose_window,
        -- The begin of a rolling window moves every day; the finding is told once in a calendar year.
        date_trunc('year', limits.window_end) as period_date,
        limits.window_end as occurred_on,
        limits.quantity,
        limits.percent_of_limit as finding_value,
        steps.threshold_value as threshold,
        steps.unit,
        cast(null as bigint) as n_reference,
        steps.severity,
        steps.audience,
        steps.rule_version,
        format(
            '{:.2f} mSv from {} to {} of the limit of {:.0f} mSv ({}, {}, {}){}.',
            limits.dose_msv,
            limits.window_begin,
            limits.window_end,
            limits.limit_msv,
            replace(limits.quantity, '_', ' '),
            replace(limits."window", '_', ' '),
            limits.limit_rule,
            case
                when limits.projected_fraction > limits.fraction_of_limit
                    then
                        format(
                            '; projected to {:.2f} mSv at the end of the year',
                            limits.projected_fraction * limits.limit_msv
                        )
                else ''
            end
        ) as message
    from limits
    cross join site
    inner join steps on limits.percent_of_limit >= steps.threshold_value
    qualify row_number() over (
        partition by limits.operator_id, limits.quantity, limits."window", limits.limit_rule
        order by steps.threshold_value desc
    ) = 1
),

final as (
    select
        {{ operator_finding('dose_limit', sets=['limit_rule', 'dose_window']) }}
    from fired
)

select * from final
