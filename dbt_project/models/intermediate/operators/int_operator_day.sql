-- Dose of record of a person at one place of the body on one day: the passive badge's where a result of it covers the day,
-- else the electronic badge's. Badges worn at the same place are never added; corrections are respected.
with badge_hours as (
    select * from {{ ref('int_badge_hour') }}
    where operator_id is not null and not is_not_occupational and layout != 'badge_periods' and token is null
),

residuals as (
    select * from {{ ref('int_hourly_residual') }}
    where operator_id is not null and not is_not_occupational
),

passive_badges as (
    select * from {{ ref('int_dose_evidence') }}
    where operator_id is not null and not is_not_occupational and layout = 'badge_periods'
),

places as (
    select * from {{ ref('badge_places') }}
),

-- What an hourly total repeats of the same badge's samples counts once.
counted as (
    select
        operator_id,
        measured_date,
        worn_at,
        dosimeter_serial,
        badge_key,
        quantity,
        n_records,
        dose_usv
    from badge_hours
    union all
    select
        operator_id,
        measured_date,
        worn_at,
        dosimeter_serial,
        badge_key,
        quantity,
        0 as n_records,
        -covered_usv as dose_usv
    from residuals
),

electronic_badges as (
    select
        counted.operator_id,
        counted.measured_date as dose_date,
        places.place,
        places.preference,
        counted.worn_at,
        counted.dosimeter_serial,
        counted.badge_key,
        sum(counted.n_records) as n_records,
        {{ dose_sum('counted.dose_usv') }} as dose_usv
    from counted
    inner join places on counted.worn_at = places.worn_at and counted.quantity = places.quantity
    group by all
),

electronic as (
    select * from electronic_badges
    qualify row_number() over (
        partition by operator_id, dose_date, place
        -- A badge that shows nothing never hides one that does.
        order by dose_usv > 0 desc, preference asc, n_records desc, dosimeter_serial asc, badge_key asc
    ) = 1
),

passive_results as (
    select
        passive_badges.operator_id,
        places.place,
        places.preference,
        passive_badges.worn_at,
        passive_badges.load_seq,
        passive_badges.line,
        passive_badges.period_begin_date,
        passive_badges.period_end_date - passive_badges.period_begin_date + 1 as n_days,
        coalesce(passive_badges.dose_usv, 0) as dose_usv
    from passive_badges
    inner join places on passive_badges.worn_at = places.worn_at and passive_badges.quantity = places.quantity
),

numbered as (
    select
        *,
        unnest(generate_series(1, n_days)) as nth_day
    from passive_results
),

-- A result of several days is split over them.
passive_days as (
    select
        *,
        period_begin_date + cast(nth_day - 1 as integer) as dose_date,
        {{ share_of_day('dose_usv', 'nth_day', 'n_days') }} as share_usv
    from numbered
),

passive as (
    select * from passive_days
    qualify row_number() over (
        partition by operator_id, dose_date, place
        order by dose_usv > 0 desc, preference asc, load_seq desc, line desc
    ) = 1
),

final as (
    select
        coalesce(passive.operator_id, electronic.operator_id) as operator_id,
        coalesce(passive.dose_date, electronic.dose_date) as dose_date,
        coalesce(passive.place, electronic.place) as place,
        coalesce(passive.worn_at, electronic.worn_at) as worn_at,
        electronic.dose_usv as electronic_usv,
        passive.share_usv as passive_usv,
        coalesce(passive.share_usv, electronic.dose_usv) as dose_usv,
        case when passive.operator_id is not null then 'passive' else 'electronic' end as dose_source
    from electronic
    full outer join passive
        on
            electronic.operator_id = passive.operator_id
            and electronic.dose_date = passive.dose_date
            and electronic.place = passive.place
)

select * from final
