with quantities as (
    select * from {{ ref('int_operator_quantity') }}
),

operators as (
    select * from {{ ref('stg_operator') }}
),

site as (
    select * from {{ ref('stg_site') }}
),

limits as (
    select * from {{ ref('dose_limits') }}
),

apprentices as (
    select
        jurisdiction,
        max(below_age_years) as below_age_years
    from limits
    where applies_to = 'apprentice'
    group by jurisdiction
),

-- Apprentices come of age on their birthday, those of a 29 February on 1 March; without a birth date the stricter limits
-- stay.
workers as (
    select
        operators.*,
        coalesce(operators.worker_category = 'apprentice', false)
        and coalesce(
            operators.birth_date > {{ as_of() }} - to_years(apprentices.below_age_years), true
        ) as is_apprentice
    from operators
    cross join site
    inner join apprentices on site.jurisdiction = apprentices.jurisdiction
),

worker_groups as (
    select
        operator_id,
        case when is_apprentice then 'apprentice' else 'adult' end as applies_to
    from workers
    union all
    select
        operator_id,
        'category_b' as applies_to
    from workers
    where worker_category = 'B'
    union all
    select
        operator_id,
        'pregnant' as applies_to
    from workers
    where pregnancy_declared_date <= {{ as_of() }}
),

-- Both ends included (output contract).
windows as (
    select
        operator_id,
        'calendar_year' as "window",
        date_trunc('year', {{ as_of() }}) as window_begin,
        {{ as_of() }} as window_end
    from operators
    union all
    select
        operator_id,
        'rolling_12_months' as "window",
        {{ as_of() }} - interval 1 year + interval 1 day as window_begin,
        {{ as_of() }} as window_end
    from operators
    union all
    select
        operator_id,
        'rolling_5_years' as "window",
        {{ as_of() }} - interval 5 year + interval 1 day as window_begin,
        {{ as_of() }} as window_end
    from operators
    union all
    select
        operator_id,
        'pregnancy' as "window",
        pregnancy_declared_date as window_begin,
        coalesce(pregnancy_ended_date, pregnancy_declared_date + {{ var('pregnancy_days') }}) as window_end
    from operators
),

applying as (
    select
        operators.operator_id,
        limits.quantity,
        limits."window",
        limits.limit_rule,
        cast(limits.value as double) as limit_msv,
        limits.source as limit_citation,
        cast(windows.window_begin as date) as window_begin,
        cast(windows.window_end as date) as window_end,
        case when limits."window" = 'pregnancy' then 'unborn_child' else limits.quantity end as summed_quantity,
        -- A calendar year is projected over the days on which the person works here.
        greatest(cast(windows.window_begin as date), operators.works_from_date) as worked_from_date,
        greatest(
            windows.window_end, least(make_date(year({{ as_of() }}), 12, 31), operators.works_to_date)
        ) as worked_to_date
    from operators
    cross join site
    inner join worker_groups on operators.operator_id = worker_groups.operator_id
    inner join windows on operators.operator_id = windows.operator_id
    inner join limits
        on
            site.jurisdiction = limits.jurisdiction
            and worker_groups.applies_to = limits.applies_to
            and windows."window" = limits."window"
            and coalesce(site.lens_regime = limits.lens_regime, true)
),

summed as (
    select
        applying.operator_id,
        applying.quantity,
        applying."window",
        applying.limit_rule,
        quantities.place in ('left_hand', 'right_hand') as is_hand,
        quantities.place,
        sum(quantities.dose_usv) as dose_usv,
        sum(quantities.warning_usv) as warning_usv,
        {{ sum_if_all_known('quantities.warning_high_usv') }} as warning_high_usv,
        min(quantities.dose_source) as first_source,
        max(quantities.dose_source) as last_source
    from applying
    inner join quantities
        on
            applying.operator_id = quantities.operator_id
            and applying.summed_quantity = quantities.quantity
            and quantities.dose_date between applying.window_begin and applying.window_end
    group by all
),

-- Hands are never added: the higher one counts. All the rest adds up, other employers' dose too.
added as (
    select
        operator_id,
        quantity,
        "window",
        limit_rule,
        {{ higher_hand_and_rest('dose_usv') }} as dose_usv,
        {{ higher_hand_and_rest('warning_usv') }} as warning_usv,
        case
            when count(warning_high_usv) = count(*) then {{ higher_hand_and_rest('warning_high_usv') }}
        end as warning_high_usv,
        case when min(first_source) < max(last_source) then 'mixed' else min(first_source) end as dose_source
    from summed
    group by all
),

doses as (
    select
        *,
        cast(dose_usv as double) / 1000 as dose_msv,
        cast(warning_usv as double) / 1000 as warning_dose_msv,
        cast(warning_high_usv as double) / 1000 as dose_high_msv
    from added
),

final as (
    select
        applying.operator_id,
        applying.quantity,
        applying."window",
        applying.limit_rule,
        applying.window_begin,
        applying.window_end,
        doses.dose_msv,
        applying.limit_msv,
        doses.dose_msv / applying.limit_msv as fraction_of_limit,
        case
            when
                applying."window" = 'calendar_year'
                and applying.window_end - applying.worked_from_date >= {{ var('projection_min_days') }}
                then
                    doses.dose_msv / applying.limit_msv
                    * (applying.worked_to_date - applying.worked_from_date + 1)
                    / (applying.window_end - applying.worked_from_date + 1)
        end as projected_fraction,
        doses.dose_source,
        applying.limit_citation,
        doses.warning_dose_msv,
        doses.warning_dose_msv as dose_low_msv,
        doses.dose_high_msv
    from applying
    left join doses
        on
            applying.operator_id = doses.operator_id
            and applying.quantity = doses.quantity
            and applying."window" = doses."window"
            and applying.limit_rule = doses.limit_rule
)

select * from final
