-- Which room a report comes from: the first identifier, in the contract's order, that any room has. A withdrawn report comes
-- from no room, and makes no study.
with reports as (
    select * from {{ ref('stg_dose_report') }}
    where load_seq not in (select withdrawn.load_seq from {{ ref('int_withdrawn_reading') }} as withdrawn)
),

rooms as (
    select * from {{ ref('stg_room') }}
),

report_identifiers as (
    unpivot (
        select
            load_seq,
            {{ folded('device_serial') }} as device_serial,
            {{ folded('station_name') }} as station_name,
            {{ folded('ae_title') }} as ae_title,
            {{ folded('physical_location') }} as physical_location
        from reports
    )
    on device_serial, station_name, ae_title, physical_location
    into name identifier value identifier_value
),

room_identifiers as (
    unpivot (
        select
            room_id,
            {{ folded('device_serial') }} as device_serial,
            {{ folded('station_name') }} as station_name,
            {{ folded('ae_title') }} as ae_title,
            {{ folded('physical_location') }} as physical_location
        from rooms
    )
    on device_serial, station_name, ae_title, physical_location
    into name identifier value identifier_value
),

hits as (
    select
        report_identifiers.load_seq,
        report_identifiers.identifier,
        list_position(
            ['device_serial', 'station_name', 'ae_title', 'physical_location'], report_identifiers.identifier
        ) as identifier_rank,
        count(*) as n_rooms,
        min(room_identifiers.room_id) as first_room_id,
        string_agg(room_identifiers.room_id, ', ' order by room_identifiers.room_id) as rooms
    from report_identifiers
    inner join room_identifiers
        on
            report_identifiers.identifier = room_identifiers.identifier
            and report_identifiers.identifier_value = room_identifiers.identifier_value
            and report_identifiers.identifier_value != ''
    group by all
),

decided as (
    select *
    from hits
    qualify row_number() over (partition by load_seq order by identifier_rank) = 1
),

final as (
    select
        reports.load_seq,
        case when decided.n_rooms = 1 then decided.first_room_id else 'unknown' end as room_id,
        decided.identifier as room_identifier,
        case when decided.n_rooms > 1 then decided.rooms end as ambiguous_rooms
    from reports
    left join decided on reports.load_seq = decided.load_seq
)

select * from final
