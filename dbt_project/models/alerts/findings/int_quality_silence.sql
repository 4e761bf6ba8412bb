-- What no longer arrives: sources, rooms and badges without a record for longer than they usually are.
with feeds as (
    select * from {{ ref('int_feed_habit') }}
),

badge_hours as (
    select * from {{ ref('int_badge_hour') }}
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

thresholds as (
    select
        max(threshold_value) filter (where name = 'silent_feed_days') as feed_days,
        max(threshold_value) filter (where name = 'silent_badge_days') as badge_days,
        max(threshold_value) filter (where name = 'silent_usual_gaps') as usual_gaps
    from {{ ref('int_alert_threshold') }}
    where rule = 'data_quality'
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

site_begin as (
    select min(first_date) as first_date from feeds
),

-- Described, and no record was ever read: silent since the site's first day. How long the period of a passive badge is,
-- its first result will show it.
sources_without_record as (
    select
        sources.source_id,
        site_begin.first_date,
        case
            when sources.layout = 'badge_periods' then thresholds.usual_gaps * thresholds.badge_days
            else thresholds.feed_days
        end as patience_days
    from sources
    anti join feeds on sources.source_id = feeds.feed_name and feeds.feed = 'source'
    cross join site_begin
    cross join thresholds
    where
        {{ as_of() }} - site_begin.first_date > patience_days
        and coalesce(sources.quiet_until_date < {{ as_of() }}, true)
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
        'site' as subject_type,
        cast(null as varchar) as operator_id,
        cast(null as varchar) as room_id,
        concat_ws('/', 'source', source_id) as detail,
        first_date as last_date,
        patience_days,
        format(
            'No record of source {} was ever read; the first of another source or room is of {}.', source_id, first_date
        ) as message
    from sources_without_record
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

final as (
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
)

select * from final
