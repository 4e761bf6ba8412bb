-- The rooms that evidence allows for the rate samples of a badge on a day (contract, linking rule 1).
with badge_hours as (
    select * from {{ ref('int_badge_hour') }}
    where sample_group is not null
),

logbook as (
    select * from {{ ref('int_logbook') }}
),

procedures as (
    select * from {{ ref('int_procedure') }}
),

rooms as (
    select distinct
        room_id,
        true as is_any_room
    from procedures
    where room_id != 'unknown'
),

-- All samples of a group agree in its columns: any of them gives the values.
groups as (
    select
        sample_group,
        any_value(dosimeter_serial) as dosimeter_serial,
        any_value(badge_key) as badge_key,
        any_value(operator_id) as operator_id,
        any_value(measured_date) as measured_date,
        any_value(evident_room_id) as evident_room_id,
        any_value(evident_room_ids) as evident_room_ids,
        any_value(clock_basis) as clock_basis,
        any_value(length_us) as length_us,
        min(first_started_at) as first_started_at,
        max(last_ended_at) as last_ended_at
    from badge_hours
    group by sample_group
),

evident_rooms as (
    select
        sample_group,
        unnest(coalesce(evident_room_ids, [evident_room_id])) as room_id
    from groups
    where coalesce(evident_room_ids[1], evident_room_id) is not null
),

logbook_rooms as (
    select distinct
        logbook.operator_id,
        logbook.procedure_date,
        procedures.room_id
    from logbook
    inner join procedures on logbook.procedure_id = procedures.procedure_id
    where procedures.room_id != 'unknown'
),

-- Conditions that do not apply are NULL: a NULL join key is free.
allowed as (
    select
        groups.*,
        coalesce(evident_rooms.room_id, logbook_rooms.room_id, rooms.room_id) as room_id,
        evident_rooms.room_id is null and logbook_rooms.room_id is null as is_any_room
    from groups
    left join evident_rooms on groups.sample_group = evident_rooms.sample_group
    left join logbook_rooms
        on
            case when evident_rooms.room_id is null then groups.operator_id end = logbook_rooms.operator_id
            and groups.measured_date = logbook_rooms.procedure_date
    left join rooms
        on coalesce(evident_rooms.room_id, logbook_rooms.room_id) is null = rooms.is_any_room
),

final as (
    select
        *,
        count(*) over (partition by sample_group) as n_rooms,
        hash(room_id, clock_basis, length_us) as timeline_key
    from allowed
)

select * from final
