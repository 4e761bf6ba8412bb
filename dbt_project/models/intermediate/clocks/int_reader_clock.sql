-- The offset of each reader's clock in force, for all rooms with a known clock (room_id NULL) or for a room of its own: the day's own
-- estimate, else the last accepted one, else none. On the dates of its records and beside them, because a clock that is off may put
-- a record on another date than its procedure. Declared readers are not estimated: int_span leaves them out.
with spans as (
    select * from {{ ref('int_span') }}
    where follows_reader
),

estimates as (
    select * from {{ ref('int_reader_estimate') }}
),

accepted as (
    select * from estimates
    where is_accepted
),

dates as (
    select distinct
        source_id,
        unnest([measured_date - 1, measured_date, measured_date + 1]) as offset_date
    from spans
),

readers as (
    select distinct
        source_id,
        room_id,
        is_by_modality
    from estimates
),

reader_dates as (
    select
        readers.*,
        dates.offset_date
    from readers
    inner join dates on readers.source_id = dates.source_id
),

-- Of the last days; where none of them has one, that of the next day.
carried as (
    select
        reader_dates.source_id,
        reader_dates.room_id,
        reader_dates.is_by_modality,
        reader_dates.offset_date,
        accepted.offset_s,
        accepted.uncertainty_s + abs(reader_dates.offset_date - accepted.day) as uncertainty_s
    from reader_dates
    inner join accepted
        on
            reader_dates.source_id = accepted.source_id
            and reader_dates.room_id is not distinct from accepted.room_id
            and reader_dates.is_by_modality = accepted.is_by_modality
            and accepted.day >= reader_dates.offset_date - {{ var('reader_carried_days') }}
            and accepted.day <= reader_dates.offset_date + 1
    qualify row_number() over (
        partition by
            reader_dates.source_id, reader_dates.room_id, reader_dates.is_by_modality, reader_dates.offset_date
        order by accepted.day > reader_dates.offset_date, accepted.day desc
    ) = 1
),

final as (
    select
        reader_dates.source_id,
        reader_dates.room_id,
        reader_dates.is_by_modality,
        reader_dates.offset_date,
        case
            when estimates.is_accepted then 'wearers'
            when carried.source_id is not null then 'carried'
            else 'none'
        end as offset_method,
        carried.offset_s,
        carried.uncertainty_s,
        coalesce(estimates.n_records, 0) as n_records,
        coalesce(estimates.n_people, 0) as n_people,
        estimates.runner_up_s,
        estimates.likelihood_ratio,
        estimates.chance,
        coalesce(estimates.is_accepted, false) as is_accepted
    from reader_dates
    left join estimates
        on
            reader_dates.source_id = estimates.source_id
            and reader_dates.room_id is not distinct from estimates.room_id
            and reader_dates.is_by_modality = estimates.is_by_modality
            and reader_dates.offset_date = estimates.day
    left join carried
        on
            reader_dates.source_id = carried.source_id
            and reader_dates.room_id is not distinct from carried.room_id
            and reader_dates.is_by_modality = carried.is_by_modality
            and reader_dates.offset_date = carried.offset_date
)

select * from final
