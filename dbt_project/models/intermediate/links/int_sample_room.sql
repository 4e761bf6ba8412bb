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
        evident_room_id
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

final as (
    select
        groups.*,
        groups.evident_room_id as room_id
    from groups
    where groups.evident_room_id is not null
    union all
    select
        groups.*,
        logbook_rooms.room_id
    from groups
    inner join logbook_rooms
        on groups.operator_id = logbook_rooms.operator_id and groups.measured_date = logbook_rooms.procedure_date
    where groups.evident_room_id is null
    union all
    select
        groups.*,
        rooms.room_id
    from groups
    cross join rooms
    left join logbook_rooms
        on groups.operator_id = logbook_rooms.operator_id and groups.measured_date = logbook_rooms.procedure_date
    where groups.evident_room_id is null and logbook_rooms.operator_id is null
)

select * from final
