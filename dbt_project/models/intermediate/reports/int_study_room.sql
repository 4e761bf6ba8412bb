-- The rooms that a study took place in, each with its span by the modality's clock and the local date that counts.
with studies as (
    select * from {{ ref('int_study') }}
),

roles as (
    select * from {{ ref('int_report_role') }}
),

events as (
    select * from {{ ref('int_event') }}
),

reported_rooms as (
    select
        study_key,
        room_id
    from roles
    where report_role in ('stays', 'without_events')
    group by all
),

spans as (
    select
        study_key,
        room_id,
        count(*) as irradiation_events,
        min(started_at) as started_at,
        max(started_at + to_microseconds(cast(coalesce(duration_s, 0) * 1000000 as bigint))) as ended_at
    from events
    group by all
),

-- A room that has only reports without events is a room of the study only where the study has no events at all.
placed as (
    select
        reported_rooms.study_key,
        reported_rooms.room_id,
        coalesce(spans.irradiation_events, 0) as irradiation_events,
        spans.started_at,
        spans.ended_at
    from reported_rooms
    left join spans on reported_rooms.study_key = spans.study_key and reported_rooms.room_id = spans.room_id
    qualify
        spans.study_key is not null
        or count(spans.study_key) over (partition by reported_rooms.study_key) = 0
),

final as (
    select
        placed.*,
        count(*) over (partition by placed.study_key) as n_rooms,
        coalesce(
            {{ local_date('placed.started_at', 'studies.site_timezone') }},
            studies.stated_study_date,
            studies.report_date
        ) as study_date
    from placed
    inner join studies on placed.study_key = studies.study_key
)

select * from final
