-- The rooms that evidence allows for the rate samples of a badge on a day (contract, linking rule 1).
with doses as (
    select * from {{ ref('int_dose_evidence') }}
    where layout = 'rate_samples' and barred_reason is null
),

logbook as (
    select * from {{ ref('int_logbook') }}
),

procedures as (
    select * from {{ ref('int_procedure') }}
),

rooms as (
    select distinct room_id
    from procedures
    where room_id != 'unknown'
),

groups as (
    select distinct
        dosimeter_serial,
        operator_id,
        measured_date,
        evident_room_id,
        clock_basis,
        epoch_us(ended_at) - epoch_us(started_at) as length_us
    from doses
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

allowed as (
    select
        groups.*,
        coalesce(groups.evident_room_id, logbook_rooms.room_id, rooms.room_id) as room_id,
        groups.evident_room_id is null and logbook_rooms.room_id is null as is_any_room
    from groups
    left join logbook_rooms
        on
            groups.evident_room_id is null
            and groups.operator_id = logbook_rooms.operator_id
            and groups.measured_date = logbook_rooms.procedure_date
    left join rooms on groups.evident_room_id is null and logbook_rooms.room_id is null
),

final as (
    select
        *,
        count(*) over (
            partition by dosimeter_serial, operator_id, measured_date, evident_room_id, clock_basis, length_us
        ) as n_rooms
    from allowed
)

select * from final
