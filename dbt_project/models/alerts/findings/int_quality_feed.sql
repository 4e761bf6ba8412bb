-- What no longer arrives: sources, rooms and badges without a record for longer than they usually are, studies without a dose
-- report, devices whose reports no room fits.
with badge_hours as (
    select * from {{ ref('int_badge_hour') }}
),

procedures as (
    select * from {{ ref('int_procedure') }}
),

logbook as (
    select * from {{ ref('int_logbook') }}
),

sources as (
    select * from {{ ref('stg_source') }}
),

rooms as (
    select * from {{ ref('stg_room') }}
),

assignments as (
    select * from {{ ref('stg_badge_assignment') }}
),

expected_studies as (
    select * from {{ ref('int_expected_study') }}
),

devices as (
    select * from {{ ref('int_unmatched_device') }}
),

thresholds as (
    select
        max(threshold_value) filter (where name = 'silent_feed_days') as feed_days,
        max(threshold_value) filter (where name = 'silent_badge_days') as badge_days,
        max(threshold_value) filter (where name = 'silent_usual_gaps') as usual_gaps
    from {{ ref('int_alert_threshold') }}
    where rule = 'data_quality'
),

-- A result of a passive badge covers its whole period, so that the next one is due a period later.
source_days as (
    select
        source_id,
        measured_date as seen_date,
        max(
            case when layout = 'badge_periods' then date_diff('day', first_started_at, last_ended_at) else 0 end
        ) as period_days
    from badge_hours
    group by source_id, measured_date
),

feed_days as (
    select
        'source' as feed,
        source_id as feed_name,
        seen_date,
        period_days
    from source_days
    union all
    select distinct
        'room' as feed,
        room_id as feed_name,
        procedure_date as seen_date,
        0 as period_days
    from procedures
    where room_id != 'unknown'
),

gaps as (
    select
        *,
        greatest(
            coalesce(seen_date - lag(seen_date) over (partition by feed, feed_name order by seen_date), 0), period_days
        ) as gap_days
    from feed_days
),

feeds as (
    select
        feed,
        feed_name,
        max(seen_date) as last_date,
        coalesce(median(gap_days) filter (where gap_days > 0), 0) as usual_gap_days
    from gaps
    group by feed, feed_name
),

quiet as (
    select
        'source' as feed,
        source_id as feed_name,
        quiet_until_date
    from sources
    union all
    select
        'room' as feed,
        room_id as feed_name,
        quiet_until_date
    from rooms
),

-- Of sources and rooms that the site still describes.
silent_feeds as (
    select
        feeds.feed,
        feeds.feed_name,
        feeds.last_date,
        greatest(thresholds.feed_days, thresholds.usual_gaps * feeds.usual_gap_days) as patience_days
    from feeds
    inner join quiet on feeds.feed = quiet.feed and feeds.feed_name = quiet.feed_name
    cross join thresholds
    where
        {{ as_of() }} - feeds.last_date > patience_days
        and coalesce(quiet.quiet_until_date < {{ as_of() }}, true)
),

last_records as (
    select
        dosimeter_serial,
        source_id,
        max(measured_date) as last_date
    from badge_hours
    group by dosimeter_serial, source_id
),

-- The last record of the badge in the sources in which its assignment holds.
badges as (
    select
        assignments.dosimeter_serial,
        assignments.operator_id,
        greatest(last_records.last_date, assignments.valid_from_date) as last_date,
        greatest(thresholds.badge_days, coalesce(thresholds.usual_gaps * feeds.usual_gap_days, 0)) as patience_days
    from assignments
    left join last_records
        on
            assignments.dosimeter_serial = last_records.dosimeter_serial
            and {{ holds_in('last_records.source_id', 'assignments.source_ids') }}
    left join feeds on last_records.source_id = feeds.feed_name and feeds.feed = 'source'
    cross join thresholds
    where
        assignments.operator_id is not null
        and assignments.valid_from_date <= {{ as_of() }}
        and coalesce(assignments.valid_to_date >= {{ as_of() }}, true)
        and coalesce(assignments.quiet_until_date < {{ as_of() }}, true)
    qualify row_number() over (
        partition by
            assignments.dosimeter_serial, assignments.operator_id, assignments.valid_from_date, assignments.source_ids
        order by last_records.last_date desc nulls last, last_records.source_id asc
    ) = 1
),

silent_badges as (
    select
        badges.dosimeter_serial,
        badges.operator_id,
        badges.last_date,
        badges.patience_days,
        count(distinct logbook.procedure_id) as n_procedures
    from badges
    inner join logbook
        on
            badges.operator_id = logbook.operator_id
            and badges.last_date < logbook.procedure_date
            and {{ as_of() }} - cast(ceil(badges.patience_days) as integer) < logbook.procedure_date
    where {{ as_of() }} - badges.last_date > badges.patience_days
    group by all
),

silences as (
    select
        'feed_silent' as threshold_name,
        case when feed = 'room' then 'room' else 'site' end as subject_type,
        cast(null as varchar) as operator_id,
        case when feed = 'room' then feed_name end as room_id,
        concat_ws('/', feed, feed_name) as detail,
        last_date,
        patience_days,
        format('No record of {} {} since {}.', feed, feed_name, last_date) as message
    from silent_feeds
    union all
    select
        'feed_silent' as threshold_name,
        'operator' as subject_type,
        operator_id,
        cast(null as varchar) as room_id,
        concat_ws('/', 'badge', dosimeter_serial) as detail,
        last_date,
        patience_days,
        format(
            'No record of badge {} since {}, and its person was in {} procedures.',
            dosimeter_serial,
            last_date,
            n_procedures
        ) as message
    from silent_badges
),

dated_silences as (
    select
        threshold_name,
        subject_type,
        operator_id,
        room_id,
        detail,
        cast(last_date as varchar) as period,
        last_date + cast(floor(patience_days) as integer) + 1 as occurred_on,
        cast({{ as_of() }} - last_date as double) as finding_value,
        message
    from silences
),

missing_reports as (
    select
        'missing_report' as threshold_name,
        'site' as subject_type,
        strftime(expected_date, '%Y-%m') as period,
        min(expected_date) as occurred_on,
        cast(count(*) as double) as finding_value,
        format(
            'Of {} studies of {} no dose report counts: {}.',
            count(*),
            period,
            left(
                string_agg(
                    coalesce(accession_number, study_instance_uid),
                    ', ' order by expected_date, accession_number, study_instance_uid
                ),
                300
            )
        ) as message
    from expected_studies
    where reason in ('missing', 'report_not_counted', 'not_retrieved')
    group by period
),

unknown_rooms as (
    select
        'unknown_room' as threshold_name,
        'site' as subject_type,
        concat_ws('/', device_serial, station_name, ae_title, physical_location) as detail,
        first_date as occurred_on,
        cast(procedures as double) as finding_value,
        format(
            'The dose reports of {} procedures fit no room of rooms.csv: device_serial {}, station_name {},'
            || ' ae_title {}, physical_location {}.',
            procedures,
            coalesce(device_serial, '-'),
            coalesce(station_name, '-'),
            coalesce(ae_title, '-'),
            coalesce(physical_location, '-')
        ) as message
    from devices
),

final as (
    select * from dated_silences
    union all by name
    select * from missing_reports
    union all by name
    select * from unknown_rooms
)

select * from final
