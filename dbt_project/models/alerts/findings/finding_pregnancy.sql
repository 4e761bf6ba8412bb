-- A declared pregnancy: dose under the apron that reaches a step of the limit (one finding, for the highest step), no badge under
-- the apron, or a badge without results for too long.
with limits as (
    select
        *,
        -- Rounded, so that a dose of exactly the step reaches it.
        round(100 * warning_fraction, 9) as percent_of_limit
    from {{ ref('int_operator_limit') }}
    where dose_window = 'pregnancy'
),

pregnancies as (
    select * from {{ ref('int_pregnancy') }}
    where pregnancy_end_date >= {{ as_of() }}
),

assignments as (
    select assignments.*
    from {{ ref('stg_badge_assignment') }} as assignments
    inner join {{ ref('badge_places') }} as places on assignments.worn_at = places.worn_at
    where places.place = 'under_apron'
),

covered_days as (
    select
        operator_id,
        max(dose_date) as last_date
    from {{ ref('int_operator_day') }}
    where place = 'under_apron' and dose_date <= {{ as_of() }}
    group by operator_id
),

site as (
    select * from {{ ref('stg_site') }}
),

thresholds as (
    select * from {{ ref('int_alert_threshold') }}
    where rule = 'pregnancy'
),

badges as (
    select
        pregnancies.operator_id,
        pregnancies.pregnancy_declared_date,
        {{ as_of() }} - pregnancies.pregnancy_declared_date as declared_days,
        coalesce(
            bool_or(
                {{ as_of() }} between assignments.valid_from_date and coalesce(assignments.valid_to_date, {{ as_of() }})
            ),
            false
        ) as has_badge,
        -- Without any result the first day of a badge counts.
        coalesce(max(covered_days.last_date), min(assignments.valid_from_date)) as last_covered_date
    from pregnancies
    left join assignments on pregnancies.operator_id = assignments.operator_id
    left join covered_days on pregnancies.operator_id = covered_days.operator_id
    group by all
),

of_dose as (
    select
        limits.operator_id,
        limits.limit_rule,
        limits.window_begin as period_date,
        least(limits.window_end, {{ as_of() }}) as occurred_on,
        limits.percent_of_limit as finding_value,
        thresholds.name as threshold_name,
        concat_ws(
            ' ',
            format(
                '{:.2f} mSv from {} to {}, {:.1f} % of the limit of {:g} mSv: Hp(10) under the apron, as a surrogate of'
                || ' the dose to the unborn child. Results cover {} days, the last is {}.',
                limits.warning_dose_msv,
                limits.window_begin,
                least(limits.window_end, {{ as_of() }}),
                limits.percent_of_limit,
                limits.limit_msv,
                limits.covered_days,
                limits.covered_to_date
            ),
            case when limits.is_begin_unknown then 'Dose before the declaration is not included.' end
        ) as message
    from limits
    inner join thresholds
        on
            thresholds.name in ('step_1', 'step_2', 'step_3')
            and limits.percent_of_limit >= thresholds.threshold_value
    qualify row_number() over (
        partition by limits.operator_id, limits.limit_rule order by thresholds.threshold_value desc
    ) = 1
),

of_badges as (
    select
        badges.operator_id,
        cast(null as varchar) as limit_rule,
        badges.pregnancy_declared_date as period_date,
        {{ as_of() }} as occurred_on,
        badges.declared_days as finding_value,
        'no_foetal_badge' as threshold_name,
        format(
            'Pregnancy declared on {}, and no badge under the apron is assigned.', badges.pregnancy_declared_date
        ) as message
    from badges
    inner join thresholds
        on thresholds.name = 'no_foetal_badge' and badges.declared_days >= thresholds.threshold_value
    where not badges.has_badge
    union all
    select
        badges.operator_id,
        null as limit_rule,
        badges.pregnancy_declared_date as period_date,
        {{ as_of() }} as occurred_on,
        {{ as_of() }} - badges.last_covered_date as finding_value,
        'foetal_badge_overdue' as threshold_name,
        format(
            'The badge under the apron has no result later than {}, {} days back.',
            badges.last_covered_date,
            {{ as_of() }} - badges.last_covered_date
        ) as message
    from badges
    cross join site
    inner join thresholds
        on
            thresholds.name = 'foetal_badge_overdue'
            and {{ as_of() }} - badges.last_covered_date > thresholds.threshold_value + site.passive_delay_days
    where badges.has_badge
),

together as (
    select * from of_dose
    union all by name
    select * from of_badges
),

fired as (
    select
        site.site_id,
        together.operator_id,
        cast(null as varchar) as study_name,
        cast(null as varchar) as procedure_id,
        cast(null as varchar) as room_id,
        concat_ws('/', thresholds.step, together.limit_rule) as step,
        together.period_date,
        together.occurred_on,
        'hp10_under_apron' as quantity,
        together.finding_value,
        thresholds.threshold_value
        + case when thresholds.name = 'foetal_badge_overdue' then site.passive_delay_days else 0 end as threshold,
        thresholds.unit,
        cast(null as bigint) as n_reference,
        thresholds.severity,
        thresholds.audience,
        thresholds.rule_version,
        together.limit_rule,
        case when together.limit_rule is not null then 'pregnancy' end as dose_window,
        together.message
    from together
    cross join site
    inner join thresholds on together.threshold_name = thresholds.name
),

final as (
    select
        {{ operator_finding('pregnancy', sets=['limit_rule', 'dose_window']) }}
    from fired
)

select * from final
