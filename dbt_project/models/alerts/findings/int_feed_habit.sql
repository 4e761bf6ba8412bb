-- How often each source and room has records, so that silence can be distinguished from its usual pauses.
with badge_hours as (
    select * from {{ ref('int_badge_hour') }}
),

procedures as (
    select * from {{ ref('int_procedure') }}
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

final as (
    select
        feed,
        feed_name,
        min(seen_date) as first_date,
        max(seen_date) as last_date,
        coalesce(median(gap_days) filter (where gap_days > 0), 0) as usual_gap_days
    from gaps
    group by feed, feed_name
)

select * from final
