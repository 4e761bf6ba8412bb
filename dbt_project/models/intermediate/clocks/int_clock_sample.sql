-- Badge dose that a room's clock offset may be read from, by the dosimeters' clocks: the C-arm reference badge, and the
-- badges of people who may have been there (the rooms that evidence allows are those of linking rule 1). Only of the days that
-- this build estimates.
with days as (
    select cast(unnest(range(from_date, to_date + 1, interval 1 day)) as date) as due_date
    from {{ ref('int_clock_day') }}
    where is_stale
),

samples as (
    select * from {{ ref('int_dose_evidence') }}
    where
        measured_date in (select days.due_date from days)
        and sample_group is not null
        and clock_basis = 'room'
        and quantity = 'hp10'
        and dose_usv > 0
),

sample_rooms as (
    select * from {{ ref('int_sample_room') }}
),

sources as (
    select * from {{ ref('stg_source') }}
),

final as (
    select
        samples.dose_key,
        sample_rooms.room_id,
        samples.c_arm_room_id is not null as is_reference_badge,
        epoch(samples.started_at) as started_s,
        cast(samples.dose_usv as double) as dose_usv,
        cast(sources.sample_seconds as double) as sample_s
    from samples
    inner join sample_rooms on samples.sample_group = sample_rooms.sample_group
    inner join sources on samples.source_id = sources.source_id
)

select * from final
