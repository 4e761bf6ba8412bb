-- Dose of record of a person at one place of the body on one day: the passive badge's where a result of it covers the day,
-- else the electronic badge's. Badges worn at the same place are never added; corrections are respected.
with doses as (
    select * from {{ ref('int_dose_wearer') }}
    where operator_id is not null and not is_not_occupational
),

residuals as (
    select * from {{ ref('int_hourly_residual') }}
),

places as (
    select * from {{ ref('badge_places') }}
),

-- What an hourly total repeats of the same badge's samples counts once.
electronic_badges as (
    select
        doses.operator_id,
        doses.measured_date as dose_date,
        places.place,
        places.preference,
        doses.worn_at,
        doses.dosimeter_serial,
        count(*) as n_records,
        {{ dose_sum('doses.dose_usv - coalesce(residuals.covered_usv, 0)') }} as dose_usv
    from doses
    inner join places on doses.worn_at = places.worn_at and doses.quantity = places.quantity
    left join residuals on doses.dose_key = residuals.dose_key
    where doses.layout != 'badge_periods' and doses.token is null
    group by all
),

electronic as (
    select * from electronic_badges
    qualify row_number() over (
        partition by operator_id, dose_date, place
        -- A badge that shows nothing never hides one that does.
        order by dose_usv > 0 desc, preference asc, n_records desc, dosimeter_serial asc
    ) = 1
),

passive_results as (
    select
        doses.operator_id,
        places.place,
        places.preference,
        doses.worn_at,
        doses.load_seq,
        doses.line,
        doses.period_begin_date,
        doses.period_end_date - doses.period_begin_date + 1 as n_days,
        coalesce(doses.dose_usv, 0) as dose_usv
    from doses
    inner join places on doses.worn_at = places.worn_at and doses.quantity = places.quantity
    where doses.layout = 'badge_periods'
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
