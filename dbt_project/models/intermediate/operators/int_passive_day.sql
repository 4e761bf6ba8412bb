-- A passive badge result on each day that belongs to it: the result is split over its days, and of several results of a day
-- at one place of the body one is chosen. Below detection is 0, and at most the limit of detection that the source states.
with badges as (
    select * from {{ ref('int_dose_evidence') }}
    where operator_id is not null and not is_not_occupational and layout = 'badge_periods'
),

places as (
    select * from {{ ref('badge_places') }}
),

sources as (
    select * from {{ ref('stg_source') }}
),

results as (
    select
        badges.operator_id,
        places.place,
        places.preference,
        badges.dose_key as result_key,
        badges.worn_at,
        badges.load_seq,
        badges.line,
        badges.period_begin_date,
        badges.period_end_date - badges.period_begin_date + 1 as n_days,
        coalesce(badges.dose_usv, 0) as dose_usv,
        coalesce(badges.dose_usv, sources.lod_usv) as high_usv,
        badges.dose_usv is null as is_below_detection,
        case when badges.dose_usv is null then sources.lod_usv end as lod_usv
    from badges
    inner join places on badges.worn_at = places.worn_at and badges.quantity = places.quantity
    left join sources on badges.source_id = sources.source_id
),

numbered as (
    select
        *,
        unnest(generate_series(1, n_days)) as nth_day
    from results
),

final as (
    select
        operator_id,
        period_begin_date + cast(nth_day - 1 as integer) as dose_date,
        place,
        result_key,
        worn_at,
        n_days,
        {{ share_of_day('dose_usv', 'nth_day', 'n_days') }} as dose_usv,
        {{ share_of_day('high_usv', 'nth_day', 'n_days') }} as high_usv,
        is_below_detection,
        lod_usv
    from numbered
    qualify row_number() over (
        partition by operator_id, dose_date, place
        order by numbered.dose_usv > 0 desc, preference asc, load_seq desc, line desc
    ) = 1
)

select * from final
