-- Dose of the one electronic badge of record of a person at one place of the body on one day: badges worn at the same place
-- are never added; corrections are respected.
with badge_hours as (
    select * from {{ ref('int_badge_hour') }}
    where operator_id is not null and not is_not_occupational and layout != 'badge_periods' and token is null
),

residuals as (
    select * from {{ ref('int_hourly_residual') }}
    where operator_id is not null and not is_not_occupational
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

badge_days as (
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

final as (
    select
        operator_id,
        dose_date,
        place,
        worn_at,
        dosimeter_serial,
        badge_key,
        dose_usv
    from badge_days
    qualify row_number() over (
        partition by operator_id, dose_date, place
        -- A badge without a record never replaces one with a record.
        order by dose_usv > 0 desc, preference asc, n_records desc, dosimeter_serial asc, badge_key asc
    ) = 1
)

select * from final
