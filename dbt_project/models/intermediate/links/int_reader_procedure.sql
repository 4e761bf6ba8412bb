-- Each procedure's span as a reader's clock shows it, on the dates on which the reader has records and around them: moved where the
-- reader's clock is known for the room, else by the modality's clock as it is. A row of the room wins over one for all rooms,
-- which holds where the room's own clock is known.
with procedure_clocks as (
    select * from {{ ref('int_procedure_clock') }}
),

reader_clocks as (
    select * from {{ ref('int_reader_clock') }}
),

spans as (
    select * from {{ ref('int_span') }}
    where follows_reader
),

reader_dates as (
    select distinct
        source_id,
        unnest([measured_date - 1, measured_date, measured_date + 1]) as procedure_date
    from spans
),

known_clocks as (
    select * from reader_clocks
    where offset_method != 'none'
),

rooms_apart as (
    select distinct
        source_id,
        room_id
    from reader_clocks
    where room_id is not null
),

near_procedures as (
    select
        reader_dates.source_id,
        procedure_clocks.*
    from reader_dates
    inner join procedure_clocks on reader_dates.procedure_date = procedure_clocks.procedure_date
),

moved as (
    select
        near_procedures.source_id,
        near_procedures.procedure_id,
        cast(known_clocks.offset_s as decimal(18, 6)) as reader_s,
        {{ moved_by('near_procedures.started_at', 'reader_s') }} as started_at,
        {{ moved_by('near_procedures.ended_at', 'reader_s') }} as ended_at
    from near_procedures
    left join rooms_apart
        on near_procedures.source_id = rooms_apart.source_id and near_procedures.room_id = rooms_apart.room_id
    inner join known_clocks
        on
            near_procedures.source_id = known_clocks.source_id
            and near_procedures.procedure_date = known_clocks.offset_date
            and known_clocks.room_id is not distinct from rooms_apart.room_id
            and (rooms_apart.room_id is not null or near_procedures.is_clock_known)
    where near_procedures.clock_basis = 'room'
),

final as (
    select
        near_procedures.source_id,
        near_procedures.procedure_id,
        near_procedures.procedure_hash,
        near_procedures.room_id,
        near_procedures.procedure_date,
        moved.reader_s,
        coalesce(moved.started_at, near_procedures.started_at) as started_at,
        coalesce(moved.ended_at, near_procedures.ended_at) as ended_at
    from near_procedures
    left join moved
        on near_procedures.source_id = moved.source_id and near_procedures.procedure_id = moved.procedure_id
    where near_procedures.clock_basis = 'source'
)

select * from final
