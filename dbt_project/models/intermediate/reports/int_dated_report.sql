-- The report objects that were read, of any date, with room and zone, and the study that they name.
with reports as (
    select * from {{ ref('stg_dose_report') }}
),

report_rooms as (
    select * from {{ ref('int_report_room') }}
),

rooms as (
    select * from {{ ref('stg_room') }}
),

events as (
    select * from {{ ref('stg_irradiation_event') }}
),

site as (
    select * from {{ ref('stg_site') }}
),

first_events as (
    select
        load_seq,
        count(*) as n_events,
        min(started_local) as first_started_local,
        min_by(irradiation_event_uid, event_no) as first_event_uid
    from events
    group by load_seq
),

with_room as (
    select
        reports.*,
        report_rooms.room_id,
        report_rooms.room_identifier,
        report_rooms.ambiguous_rooms,
        site.site_id,
        site.site_timezone,
        coalesce(rooms.device_timezone, site.site_timezone) as device_timezone,
        coalesce(first_events.n_events, 0) as n_events,
        -- Without a study UID the device and its first event name the study; without events the object is a study of its own.
        coalesce(
            reports.study_instance_uid,
            case
                when first_events.first_event_uid is not null
                    then concat_ws(chr(31), reports.device_serial, first_events.first_event_uid)
            end,
            reports.sop_instance_uid
        ) as study_name,
        {{ key_of(['site.site_id', 'study_name']) }} as study_key,
        coalesce(
            cast(first_events.first_started_local as date), reports.study_date, cast(reports.content_local as date)
        ) as report_date
    from reports
    inner join report_rooms on reports.load_seq = report_rooms.load_seq
    left join rooms on report_rooms.room_id = rooms.room_id
    left join first_events on reports.load_seq = first_events.load_seq
    cross join site
),

final as (
    select * from with_room
)

select * from final
