-- The procedures that a session, counter step or hourly residual may belong to (contract, linking rule 4).
with spans as (
    select * from {{ ref('int_span') }}
),

procedure_clocks as (
    select * from {{ ref('int_procedure_clock') }}
),

reader_procedures as (
    select * from {{ ref('int_reader_procedure') }}
),

logbook as (
    select * from {{ ref('int_logbook') }}
),

operators as (
    select * from {{ ref('stg_operator') }}
),

rooms as (
    select * from {{ ref('stg_room') }}
),

sample_links as (
    select * from {{ ref('int_sample_link') }}
),

evidence as (
    select * from {{ ref('int_dose_evidence') }}
),

-- A procedure reaches as far around its events as for samples.
margin as (
    select to_seconds({{ var('window_margin_s') }}) as length
),

-- Readers without hubs have clocks of their own.
clocks as (
    select
        cast(null as varchar) as reader_id,
        clock_basis,
        procedure_id,
        procedure_hash,
        room_id,
        cast(null as decimal(18, 6)) as reader_s,
        started_at,
        ended_at
    from procedure_clocks
    union all by name
    select
        source_id as reader_id,
        'source' as clock_basis,
        procedure_id,
        procedure_hash,
        room_id,
        reader_s,
        started_at,
        ended_at
    from reader_procedures
),

near as (
    select
        spans.*,
        clocks.procedure_id,
        clocks.procedure_hash,
        clocks.room_id,
        clocks.reader_s,
        greatest(spans.started_at, clocks.started_at - margin.length) as shared_from_at,
        least(spans.ended_at, clocks.ended_at + margin.length) as shared_to_at,
        spans.started_at < clocks.ended_at and spans.ended_at > clocks.started_at as is_overlap,
        coalesce(
            list_contains(spans.evident_room_ids, clocks.room_id), clocks.room_id = spans.evident_room_id
        ) as is_in_evident_room
    from spans
    cross join margin
    inner join clocks
        on
            spans.clock_basis = clocks.clock_basis
            and case when spans.follows_reader then spans.source_id end is not distinct from clocks.reader_id
            and spans.started_at < clocks.ended_at + margin.length
            and spans.ended_at > clocks.started_at - margin.length
),

near_procedures as (
    select distinct
        procedure_hash,
        procedure_id
    from near
),

-- Only samples near a span are read: materialized, otherwise all samples would be joined first.
near_links as materialized (
    select
        dose_key,
        procedure_hash
    from sample_links
    where procedure_hash in (select near_procedures.procedure_hash from near_procedures)
),

persons_procedures as (
    select distinct
        evidence.operator_id,
        near_procedures.procedure_id
    from near_links
    inner join near_procedures on near_links.procedure_hash = near_procedures.procedure_hash
    inner join evidence on near_links.dose_key = evidence.dose_key
    where evidence.operator_id is not null
),

reachable as (
    select
        near.*,
        logbook.operator_id is not null as is_in_logbook,
        persons_procedures.operator_id is not null as has_linked_samples,
        coalesce(rooms.specialty = operators.specialty, false) as is_in_own_specialty
    from near
    left join logbook on near.procedure_id = logbook.procedure_id and near.operator_id = logbook.operator_id
    left join persons_procedures
        on near.procedure_id = persons_procedures.procedure_id and near.operator_id = persons_procedures.operator_id
    left join rooms on near.room_id = rooms.room_id
    left join operators on near.operator_id = operators.operator_id
),

-- The first kind of evidence decides; an evident room that has no procedure is not overruled.
judged as (
    select
        *,
        case
            when c_arm_room_id is not null then is_in_evident_room
            when bool_or(is_in_logbook) over of_dose then is_in_logbook
            when is_in_evident_room is not null then is_in_evident_room
            when bool_or(has_linked_samples) over of_dose then has_linked_samples
            else is_in_own_specialty
        end as is_candidate
    from reachable
    window of_dose as (partition by dose_key)
),

-- Of these, one that the record really overlaps comes before one that it only comes near to.
nearest_evidence as (
    select *
    from judged
    where is_candidate
    qualify is_overlap or not bool_or(is_overlap) over (partition by dose_key)
),

final as (
    select
        dose_key,
        procedure_id,
        procedure_hash,
        -- Where the reader's clock is known, the time shared is by the badges' clocks.
        case when reader_s is null then clock_basis else 'room' end as clock_basis,
        follows_reader and reader_s is null as is_reader_unknown,
        open_usv,
        {{ moved_by('shared_from_at', '-coalesce(reader_s, 0)') }} as shared_from_at,
        {{ moved_by('shared_to_at', '-coalesce(reader_s, 0)') }} as shared_to_at,
        count(*) over (partition by dose_key) as n_candidates
    from nearest_evidence
)

select * from final
