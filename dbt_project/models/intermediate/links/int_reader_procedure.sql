-- Each procedure's span as a reader's clock shows it, on the dates on which the reader has records and around them: where the
-- room's clock is known, the badges' clock plus the reader's offset; where it is not, the modality's clock plus the offset that was
-- estimated against it; without an offset the modality's clock as it is.
with procedure_clocks as (
    select * from {{ ref('int_procedure_clock') }}
),

reader_clocks as (
    select * from {{ ref('int_reader_clock') }}
    where offset_method != 'none'
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
        cast(reader_clocks.offset_s as decimal(18, 6)) as reader_s,
        {{ moved_by('near_procedures.started_at', 'reader_s') }} as started_at,
        {{ moved_by('near_procedures.ended_at', 'reader_s') }} as ended_at
    from near_procedures
    -- Rooms that agree share a row without room; those that do not have one each.
    inner join reader_clocks
        on
            near_procedures.source_id = reader_clocks.source_id
            and near_procedures.procedure_date = reader_clocks.offset_date
            and near_procedures.is_clock_known != reader_clocks.is_by_modality
            and near_procedures.room_id = coalesce(reader_clocks.room_id, near_procedures.room_id)
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
