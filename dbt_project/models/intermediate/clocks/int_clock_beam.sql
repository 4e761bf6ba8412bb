-- When the beam was on in a room, by the modality's own clock: one of the two signals that a clock offset is read from. Only of
-- the days that this build estimates.
with events as (
    select * from {{ ref('int_event') }}
),

days as (
    select * from {{ ref('int_clock_day') }}
    where is_stale
),

procedures as (
    select * from {{ ref('int_procedure') }}
    where room_id != 'unknown' and procedure_date in (select days.procedure_date from days)
),

final as (
    select
        procedures.room_id,
        procedures.procedure_date,
        events.irradiation_event_uid,
        epoch(events.started_at) as started_s,
        epoch(events.started_at) + cast(coalesce(events.duration_s, 0) as double) as ended_s
    from events
    inner join procedures on events.study_key = procedures.study_key and events.room_id = procedures.room_id
    where events.started_at is not null
)

select * from final
