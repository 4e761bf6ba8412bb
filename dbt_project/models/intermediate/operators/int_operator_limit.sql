-- Dose of each person in each window against each limit that applies, and what a projection of the year rests on.
with quantities as (
    select
        *,
        place in ('left_hand', 'right_hand') as is_hand,
        -- Badges over the apron are used for the body and, without one at the eye, for the lens.
        dose_source != 'external'
        and (quantity in ('effective', 'effective_dose_equivalent') or (quantity = 'lens' and place = 'over_apron'))
            as is_estimate
    from {{ ref('int_operator_quantity') }}
),

operators as (
    select * from {{ ref('stg_operator') }}
),

pregnancies as (
    select * from {{ ref('int_pregnancy') }}
),

limits as (
    select * from {{ ref('int_limit') }}
),

known_since as (
    select
        operator_id,
        min(dose_date) as first_dose_date
    from quantities
    group by operator_id
),

months as (
    select unnest(generate_series(0, 11)) as months_before
),

-- Both ends included (output contract). Of the last 12 months one is chosen below.
windows as (
    select
        operator_id,
        'calendar_year' as dose_window,
        cast(null as varchar) as pregnancy_window,
        date_trunc('year', {{ as_of() }}) as window_begin,
        {{ as_of() }} as window_end
    from operators
    union all
    select
        operator_id,
        'rolling_12_months' as dose_window,
        null as pregnancy_window,
        {{ as_of() }} - interval 1 year + interval 1 day as window_begin,
        {{ as_of() }} as window_end
    from operators
    union all
    select
        operator_id,
        'rolling_5_years' as dose_window,
        null as pregnancy_window,
        {{ as_of() }} - interval 5 year + interval 1 day as window_begin,
        {{ as_of() }} as window_end
    from operators
    union all
    select
        operators.operator_id,
        'month' as dose_window,
        null as pregnancy_window,
        date_trunc('month', {{ as_of() }}) - to_months(cast(months.months_before as integer)) as window_begin,
        least(
            {{ as_of() }},
            date_trunc('month', {{ as_of() }}) - to_months(cast(months.months_before as integer) - 1) - interval 1 day
        ) as window_end
    from operators
    cross join months
    union all
    select
        operators.operator_id,
        'career' as dose_window,
        null as pregnancy_window,
        coalesce(known_since.first_dose_date, {{ as_of() }}) as window_begin,
        {{ as_of() }} as window_end
    from operators
    left join known_since on operators.operator_id = known_since.operator_id
    union all
    select
        operator_id,
        'pregnancy' as dose_window,
        'from_declaration' as pregnancy_window,
        pregnancy_declared_date as window_begin,
        pregnancy_end_date as window_end
    from pregnancies
    union all
    select
        operator_id,
        'pregnancy' as dose_window,
        'entire_pregnancy' as pregnancy_window,
        coalesce(pregnancy_began_date, pregnancy_declared_date) as window_begin,
        pregnancy_end_date as window_end
    from pregnancies
),

limit_groups as (
    select distinct
        applies_to,
        below_age_years
    from limits
),

-- Limits of the young depend on age alone: adults in training, and persons without a birth date, have the limits of adults.
worker_groups as (
    select
        operators.operator_id,
        limit_groups.applies_to
    from operators
    inner join limit_groups
        on
            case
                when limit_groups.applies_to = 'category_b' then operators.worker_category = 'B'
                when limit_groups.applies_to = 'pregnant' then operators.pregnancy_declared_date <= {{ as_of() }}
                else
                    (limit_groups.applies_to = 'apprentice')
                    = coalesce(operators.birth_date > {{ as_of() }} - to_years(limit_groups.below_age_years), false)
            end
),

applying as (
    select
        operators.operator_id,
        limits.quantity,
        limits.dose_window,
        limits.limit_rule,
        limits.applies_to,
        cast(limits.limit_msv as double) as limit_msv,
        limits.limit_citation,
        limits.limit_status,
        limits.valid_from,
        limits.valid_to,
        limits.after_dose_msv,
        case
            when limits.dose_window = 'pregnancy'
                then limits.pregnancy_window = 'entire_pregnancy' and operators.pregnancy_began_date is null
        end as is_begin_unknown,
        cast(windows.window_begin as date) as window_begin,
        cast(windows.window_end as date) as window_end,
        case
            when limits.dose_window = 'pregnancy' or limits.quantity = 'uterus' then 'unborn_child' else limits.quantity
        end as summed_quantity,
        -- A calendar year is projected over the days on which the person works here.
        greatest(cast(windows.window_begin as date), operators.works_from_date) as worked_from_date,
        greatest(
            cast(windows.window_end as date),
            least(make_date(year({{ as_of() }}), 12, 31), operators.works_to_date)
        ) as worked_to_date
    from operators
    inner join worker_groups on operators.operator_id = worker_groups.operator_id
    inner join limits on worker_groups.applies_to = limits.applies_to
    inner join windows
        on
            operators.operator_id = windows.operator_id
            and limits.dose_window = windows.dose_window
            and limits.pregnancy_window is not distinct from windows.pregnancy_window
),

-- The dose of the unborn child before the declaration, for a limit that depends on it.
before_declaration as (
    select
        pregnancies.operator_id,
        sum(quantities.warning_usv) / 1000 as dose_msv
    from pregnancies
    inner join quantities
        on
            pregnancies.operator_id = quantities.operator_id
            and quantities.quantity = 'unborn_child'
            and pregnancies.pregnancy_began_date <= quantities.dose_date
            and pregnancies.pregnancy_declared_date > quantities.dose_date
    group by pregnancies.operator_id
),

binding as (
    select applying.*
    from applying
    left join before_declaration on applying.operator_id = before_declaration.operator_id
    where coalesce(before_declaration.dose_msv >= applying.after_dose_msv, applying.after_dose_msv is null)
),

counted as (
    select
        binding.operator_id,
        binding.quantity,
        binding.dose_window,
        binding.limit_rule,
        binding.window_begin,
        quantities.dose_date,
        quantities.place,
        quantities.is_hand,
        quantities.is_estimate,
        quantities.dose_usv,
        quantities.warning_usv,
        quantities.warning_high_usv,
        quantities.dose_source
    from binding
    inner join quantities
        on
            binding.operator_id = quantities.operator_id
            and binding.summed_quantity = quantities.quantity
            and quantities.dose_date between binding.window_begin and binding.window_end
),

by_place as (
    select
        operator_id,
        quantity,
        dose_window,
        limit_rule,
        window_begin,
        place,
        is_hand,
        sum(dose_usv) as dose_usv,
        sum(warning_usv) as warning_usv,
        {{ sum_if_all_known('warning_high_usv') }} as warning_high_usv,
        -- What another employer stated of a period that is over is not projected.
        sum(warning_usv) filter (place != 'external') as running_usv,
        bool_or(is_estimate) as is_estimate,
        min(dose_source) as first_source,
        max(dose_source) as last_source
    from counted
    group by all
),

-- Hands are never added: the higher one counts. All the rest adds up, other employers' dose too.
doses as (
    select
        operator_id,
        quantity,
        dose_window,
        limit_rule,
        window_begin,
        cast({{ higher_hand_and_rest('dose_usv') }} as double) / 1000 as dose_msv,
        cast({{ higher_hand_and_rest('warning_usv') }} as double) / 1000 as warning_dose_msv,
        case
            when count(warning_high_usv) = count(*)
                then cast({{ higher_hand_and_rest('warning_high_usv') }} as double) / 1000
        end as dose_high_msv,
        cast({{ higher_hand_and_rest('running_usv') }} as double) / 1000 as running_dose_msv,
        bool_or(is_estimate) as is_estimate,
        case when min(first_source) < max(last_source) then 'mixed' else min(first_source) end as dose_source
    from by_place
    group by all
),

covered as (
    select
        operator_id,
        quantity,
        dose_window,
        limit_rule,
        window_begin,
        count(distinct dose_date) as covered_days,
        max(dose_date) as covered_to_date
    from counted
    where dose_source != 'external'
    group by all
),

recent_by_place as (
    select
        operator_id,
        quantity as summed_quantity,
        place,
        is_hand,
        sum(warning_usv) as warning_usv
    from quantities
    where dose_date > {{ as_of() }} - {{ var('recent_days') }} and place != 'external'
    group by all
),

recent as (
    select
        operator_id,
        summed_quantity,
        cast({{ higher_hand_and_rest('warning_usv') }} as double) / 1000 as dose_msv
    from recent_by_place
    group by all
),

judged as (
    select
        binding.operator_id,
        binding.quantity,
        binding.dose_window,
        binding.limit_rule,
        binding.applies_to,
        binding.window_begin,
        binding.window_end,
        doses.dose_msv,
        doses.warning_dose_msv,
        doses.warning_dose_msv as dose_low_msv,
        doses.dose_high_msv,
        binding.limit_msv,
        doses.dose_msv / binding.limit_msv as fraction_of_limit,
        doses.warning_dose_msv / binding.limit_msv as warning_fraction,
        case
            when
                binding.dose_window = 'calendar_year'
                and binding.window_end - binding.worked_from_date >= {{ var('projection_min_days') }}
                then
                    (
                        doses.running_dose_msv
                        * (binding.worked_to_date - binding.worked_from_date + 1)
                        / (binding.window_end - binding.worked_from_date + 1)
                        + (doses.warning_dose_msv - doses.running_dose_msv)
                    )
                    / binding.limit_msv
        end as projected_fraction,
        case
            when binding.dose_window = 'calendar_year'
                then
                    recent.dose_msv * (binding.worked_to_date - binding.window_end)
                    / {{ var('recent_days') }} / binding.limit_msv
        end as recent_projected_fraction,
        binding.window_end - binding.worked_from_date + 1 as elapsed_days,
        doses.is_estimate,
        doses.dose_source,
        covered.covered_days,
        covered.covered_to_date,
        binding.is_begin_unknown,
        binding.limit_citation,
        binding.limit_status,
        binding.valid_from,
        binding.valid_to
    from binding
    left join doses
        on
            binding.operator_id = doses.operator_id
            and binding.quantity = doses.quantity
            and binding.dose_window = doses.dose_window
            and binding.limit_rule = doses.limit_rule
            and binding.window_begin = doses.window_begin
    left join covered
        on
            binding.operator_id = covered.operator_id
            and binding.quantity = covered.quantity
            and binding.dose_window = covered.dose_window
            and binding.limit_rule = covered.limit_rule
            and binding.window_begin = covered.window_begin
    left join recent
        on binding.operator_id = recent.operator_id and binding.summed_quantity = recent.summed_quantity
),

final as (
    select * from judged
    -- Of the last 12 months the one with most dose.
    qualify row_number() over (
        partition by operator_id, quantity, dose_window, limit_rule
        order by warning_dose_msv desc nulls last, window_begin desc
    ) = 1
)

select * from final
