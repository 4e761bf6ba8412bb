-- Badge dose that a room's clock offset may be read from, by the dosimeters' clocks: the C-arm reference badge, and the
-- badges of people who may have been there (the rooms that evidence allows are those of linking rule 1).
with samples as (
    select * from {{ ref('int_dose_evidence') }}
    where
        layout = 'rate_samples'
        and barred_reason is null
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
    inner join sample_rooms
        on
            samples.dosimeter_serial = sample_rooms.dosimeter_serial
            and samples.measured_date = sample_rooms.measured_date
            and samples.operator_id is not distinct from sample_rooms.operator_id
            and samples.evident_room_id is not distinct from sample_rooms.evident_room_id
            and samples.clock_basis = sample_rooms.clock_basis
            and epoch_us(samples.ended_at) - epoch_us(samples.started_at) = sample_rooms.length_us
    inner join sources on samples.source_id = sources.source_id
)

select * from final
