-- A passive badge result beside what the electronic badge at the same place, and the badges over the apron, show on the days
-- that belong to it.
with days as (
    select * from {{ ref('int_operator_day') }}
),

passive_days as (
    select * from {{ ref('int_passive_day') }}
),

assigned as (
    select * from {{ ref('int_assigned_place') }}
),

compared as (
    select
        days.*,
        passive_days.n_days as n_period_days,
        passive_days.is_below_detection,
        passive_days.high_usv,
        coalesce(assigned.is_electronic, false) as is_electronic_assigned,
        over_apron.warning_usv as over_apron_warning_usv,
        over_apron.operator_id is not null or over_apron_assigned.operator_id is not null as wears_over_apron
    from days
    inner join passive_days
        on
            days.operator_id = passive_days.operator_id
            and days.dose_date = passive_days.dose_date
            and days.place = passive_days.place
    left join days as over_apron
        on
            days.operator_id = over_apron.operator_id
            and days.dose_date = over_apron.dose_date
            and over_apron.place = 'over_apron'
    left join assigned
        on
            days.operator_id = assigned.operator_id
            and days.dose_date = assigned.dose_date
            and days.place = assigned.place
    left join assigned as over_apron_assigned
        on
            days.operator_id = over_apron_assigned.operator_id
            and days.dose_date = over_apron_assigned.dose_date
            and over_apron_assigned.place = 'over_apron'
),

final as (
    select
        operator_id,
        place,
        result_key,
        min(dose_date) as begin_date,
        max(dose_date) as end_date,
        count(*) as n_days,
        min(n_period_days) as n_period_days,
        bool_or(is_below_detection) as is_below_detection,
        {{ dose_sum('passive_usv') }} as passive_usv,
        cast({{ sum_if_all_known('high_usv') }} as {{ dose_type() }}) as passive_high_usv,
        {{ dose_sum('electronic_usv') }} as electronic_usv,
        count(*) filter (is_electronic_assigned) as n_electronic_assigned_days,
        {{ dose_sum('over_apron_warning_usv') }} as over_apron_warning_usv,
        bool_or(wears_over_apron) as wears_over_apron
    from compared
    group by operator_id, place, result_key
)

select * from final
