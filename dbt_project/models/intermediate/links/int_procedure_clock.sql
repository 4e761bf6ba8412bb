-- Each procedure's span as the dosimeters' clocks show it. Badge times stay as they came; the procedures are moved.
-- clock_basis "room": the room's offset applies; "source": only an offset declared for the source, applied to the badge.
with procedures as (
    select
        *,
        -- To link by: a tenth of the cost of its text where samples are many, and the same every night.
        hash(procedure_id) as procedure_hash
    from {{ ref('int_procedure') }}
    where room_id != 'unknown' and started_at is not null
),

offsets as (
    select * from {{ ref('int_clock_offset') }}
),

bases as (
    select unnest(['room', 'source']) as clock_basis
),

final as (
    select
        procedures.procedure_id,
        procedures.procedure_hash,
        procedures.study_key,
        procedures.room_id,
        procedures.procedure_date,
        bases.clock_basis,
        case when bases.clock_basis = 'room' then coalesce(offsets.offset_s, 0) else 0 end as shift_s,
        {{ moved_by('procedures.started_at', 'shift_s') }} as started_at,
        {{ moved_by('procedures.ended_at', 'shift_s') }} as ended_at,
        case when bases.clock_basis = 'room' then coalesce(offsets.uncertainty_s, 0) else 0 end as uncertainty_s,
        offsets.offset_method != 'none' as is_clock_known,
        offsets.unknown_days
    from procedures
    inner join offsets
        on procedures.room_id = offsets.room_id and procedures.procedure_date = offsets.offset_date
    cross join bases
)

select * from final
