-- The time of each room in which samples lie that this build links: what lies outside it touches none of them.
with link_days as (
    select * from {{ ref('int_link_day') }}
),

linked_days as (
    select unnest(neighbour_dates) as measured_date
    from link_days
    where {{ is_stale('link_days', 'measured_date', 'int_sample_link') }}
),

sample_rooms as (
    select * from {{ ref('int_sample_room') }}
    where measured_date in (select linked_days.measured_date from linked_days)
),

final as (
    select
        timeline_key,
        room_id,
        clock_basis,
        length_us,
        epoch_us(min(first_started_at)) as first_us,
        epoch_us(max(last_ended_at)) as last_us
    from sample_rooms
    group by timeline_key, room_id, clock_basis, length_us
)

select * from final
