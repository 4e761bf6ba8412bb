-- The offset of each reader's clock in force on each local date with records, for all rooms (room_id NULL) or for a room of its
-- own: declared, else the day's own estimate, else the last accepted one of the last days, else none.
with records as (
    select * from {{ ref('int_reader_record') }}
),

estimates as (
    select * from {{ ref('int_reader_estimate') }}
),

record_days as (
    select distinct
        source_id,
        measured_date
    from records
),

readers as (
    select distinct
        source_id,
        room_id
    from estimates
),

reader_days as (
    select
        readers.source_id,
        readers.room_id,
        record_days.measured_date
    from readers
    inner join record_days on readers.source_id = record_days.source_id
),

carried as (
    select
        reader_days.source_id,
        reader_days.room_id,
        reader_days.measured_date,
        estimates.day as carried_from_date,
        estimates.offset_s,
        estimates.uncertainty_s
    from reader_days
    inner join estimates
        on
            reader_days.source_id = estimates.source_id
            and reader_days.room_id is not distinct from estimates.room_id
            and estimates.is_accepted
            and reader_days.measured_date > estimates.day
            and reader_days.measured_date <= estimates.day + {{ var('reader_carried_days') }}
    qualify row_number() over (
        partition by reader_days.source_id, reader_days.room_id, reader_days.measured_date order by estimates.day desc
    ) = 1
),

final as (
    select
        reader_days.source_id,
        reader_days.room_id,
        reader_days.measured_date as offset_date,
        case
            when estimates.is_accepted then 'wearers'
            when carried.source_id is not null then 'carried'
            else 'none'
        end as offset_method,
        case
            when coalesce(estimates.is_accepted, false) or carried.source_id is null then estimates.offset_s
            else carried.offset_s
        end as offset_s,
        case
            when coalesce(estimates.is_accepted, false) or carried.source_id is null then estimates.uncertainty_s
            else carried.uncertainty_s + (reader_days.measured_date - carried.carried_from_date)
        end as uncertainty_s,
        coalesce(estimates.n_records, 0) as n_records,
        coalesce(estimates.n_people, 0) as n_people,
        estimates.runner_up_s,
        estimates.likelihood_ratio,
        estimates.chance,
        coalesce(estimates.is_accepted, false) as is_accepted
    from reader_days
    left join estimates
        on
            reader_days.source_id = estimates.source_id
            and reader_days.room_id is not distinct from estimates.room_id
            and reader_days.measured_date = estimates.day
    left join carried
        on
            reader_days.source_id = carried.source_id
            and reader_days.room_id is not distinct from carried.room_id
            and reader_days.measured_date = carried.measured_date
)

select * from final
