-- The report objects that count, with room, zone and the order of versions; losers among equal SOP Instance UIDs stay,
-- marked, for the file ledger. Reports of studies after as_of are left out.
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
        -- Without a study UID the device and its first event name the study; without events the object stands alone.
        coalesce(
            reports.study_instance_uid,
            case
                when first_events.first_event_uid is not null
                    then concat_ws(chr(31), reports.device_serial, first_events.first_event_uid)
            end,
            reports.sop_instance_uid
        ) as study_name,
        coalesce(
            cast(first_events.first_started_local as date), reports.study_date, cast(reports.content_local as date)
        ) as report_date
    from reports
    inner join report_rooms on reports.load_seq = report_rooms.load_seq
    left join rooms on report_rooms.room_id = rooms.room_id
    left join first_events on reports.load_seq = first_events.load_seq
    cross join site
),

known_by_then as (
    select * from with_room
    where report_date is null or report_date <= {{ as_of() }}
),

ordered as (
    select
        *,
        {{ key_of(['site_id', 'study_name']) }} as study_key,
        -- Latest = content date and time, then instance number, then load sequence (contract, Totals 3).
        row_number() over (
            order by content_local nulls first, instance_number nulls first, load_seq
        ) as version_rank,
        -- The same order without the load sequence: reports that share it are equally late.
        dense_rank() over (order by content_local nulls first, instance_number nulls first) as lateness
    from known_by_then
),

final as (
    select
        *,
        -- Tables kept by day have a part for the reports that state no date, too.
        coalesce(report_date, date '0001-01-01') as report_day,
        -- Equally late objects of one UID that name different studies are no versions: who owns their events decides.
        lateness = max(lateness) over (partition by sop_instance_uid)
        and load_seq = max(load_seq) over (
            partition by sop_instance_uid, lateness, case when n_events > 0 then study_key end
        ) as is_latest_of_sop,
        max_by(load_seq, version_rank) over (partition by sop_instance_uid) as winner_load_seq
    from ordered
)

select * from final
