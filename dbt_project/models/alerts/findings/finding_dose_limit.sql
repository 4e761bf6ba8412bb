-- Dose received that reaches a step of a limit, one finding for each limit, for the highest step; and a year that is on the way to
-- a limit, a step of its own. The year by the calendar and 12 months on end are windows of one limit: the higher share counts.
with limits as (
    select
        *,
        -- Rounded, so that a dose of exactly the step reaches it.
        round(100 * warning_fraction, 9) as received_percent,
        round(100 * projected_fraction, 9) as projected_percent,
        round(100 * recent_projected_fraction, 9) as recent_percent
    from {{ ref('int_operator_limit') }}
    where dose_window != 'pregnancy'
),

site as (
    select * from {{ ref('stg_site') }}
),

thresholds as (
    select * from {{ ref('int_alert_threshold') }}
    where rule = 'dose_limit'
),

conditions as (
    select
        max(threshold_value) filter (where name = 'projected_min_days') as min_days,
        max(threshold_value) filter (where name = 'projected_min_share') as min_share
    from thresholds
),

received as (
    select
        limits.*,
        thresholds.name,
        limits.received_percent as percent_of_limit
    from limits
    inner join thresholds
        on
            thresholds.name in ('step_1', 'step_2', 'step_3')
            and limits.received_percent >= thresholds.threshold_value
    qualify row_number() over (
        partition by limits.operator_id, limits.quantity, limits.limit_rule
        order by thresholds.threshold_value desc, limits.received_percent desc, limits.dose_window asc
    ) = 1
),

-- A limit that the dose received has reached is not projected.
projected as (
    select
        limits.*,
        thresholds.name,
        greatest(
            case
                when limits.elapsed_days >= conditions.min_days and limits.received_percent >= conditions.min_share
                    then limits.projected_percent
            end,
            limits.recent_percent
        ) as percent_of_limit
    from limits
    cross join conditions
    inner join thresholds on thresholds.name = 'projected_100'
    where
        limits.received_percent < thresholds.threshold_value
        and percent_of_limit >= thresholds.threshold_value
),

reached as (
    select * from received
    union all by name
    select * from projected
),

fired as (
    select
        site.site_id,
        reached.operator_id,
        cast(null as varchar) as study_name,
        cast(null as varchar) as procedure_id,
        cast(null as varchar) as room_id,
        concat_ws('/', thresholds.step, reached.quantity, reached.limit_rule) as step,
        -- The begin of a rolling window moves every day; a finding is reported once in a calendar year.
        date_trunc('year', {{ as_of() }}) as period_date,
        reached.window_end as occurred_on,
        reached.quantity,
        reached.percent_of_limit as finding_value,
        thresholds.threshold_value as threshold,
        thresholds.unit,
        cast(null as bigint) as n_reference,
        -- A level of a category and a limit that is not confirmed are not urgent.
        case
            when
                thresholds.severity = 'urgent'
                and (reached.applies_to = 'category_b' or reached.limit_status = 'must_confirm')
                then 'review'
            else thresholds.severity
        end as severity,
        thresholds.audience,
        thresholds.rule_version,
        case when reached.name = 'projected_100' then reached.name end as detail,
        reached.limit_rule,
        reached.dose_window,
        concat_ws(
            ' ',
            format(
                '{:.2f} mSv received from {} to {}, {:.1f} % of the limit of {:g} mSv ({}, {}, {}).',
                reached.warning_dose_msv,
                reached.window_begin,
                reached.window_end,
                reached.received_percent,
                reached.limit_msv,
                replace(reached.quantity, '_', ' '),
                replace(reached.dose_window, '_', ' '),
                reached.limit_rule
            ),
            case
                when reached.name = 'projected_100' and reached.projected_percent >= thresholds.threshold_value
                    then
                        format(
                            'If the year goes on so, {:.2f} mSv at its end.',
                            reached.projected_fraction * reached.limit_msv
                        )
                when reached.name = 'projected_100'
                    then
                        format(
                            'If it goes on as in the last {} days, {:.2f} mSv more by the end of the year.',
                            {{ var('recent_days') }},
                            reached.recent_projected_fraction * reached.limit_msv
                        )
                when reached.name = 'step_3' and reached.is_estimate
                    then 'The estimate reaches the limit: have it measured.'
            end,
            case when reached.limit_status = 'must_confirm' then 'This limit is not confirmed.' end
        ) as message
    from reached
    cross join site
    inner join thresholds on reached.name = thresholds.name
),

final as (
    select
        {{ operator_finding('dose_limit', sets=['detail', 'limit_rule', 'dose_window']) }}
    from fired
)

select * from final
