-- The procedures that a session, counter step or hourly residual may belong to (contract, linking rule 4).
with spans as (
    select * from {{ ref('int_span') }}
),

procedure_clocks as (
    select * from {{ ref('int_procedure_clock') }}
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

near as (
    select
        spans.*,
        procedure_clocks.procedure_id,
        procedure_clocks.procedure_hash,
        procedure_clocks.room_id,
        greatest(spans.started_at, procedure_clocks.started_at - margin.length) as shared_from_at,
        least(spans.ended_at, procedure_clocks.ended_at + margin.length) as shared_to_at,
        spans.started_at < procedure_clocks.ended_at
        and spans.ended_at > procedure_clocks.started_at as is_overlap,
        coalesce(
            list_contains(spans.evident_room_ids, procedure_clocks.room_id),
            procedure_clocks.room_id = spans.evident_room_id
        ) as is_in_evident_room
    from spans
    cross join margin
    inner join procedure_clocks
        on
            spans.clock_basis = procedure_clocks.clock_basis
            and spans.started_at < procedure_clocks.ended_at + margin.length
            and spans.ended_at > procedure_clocks.started_at - margin.length
),

near_procedures as (
    select distinct
        procedure_hash,
        procedure_id
    from near
),

-- Where no span is near, no sample is looked at: materialized, or all samples would be joined first.
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

-- The first kind of evidence that speaks decides; an evident room that has no procedure is not overruled.
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
        clock_basis,
        open_usv,
        shared_from_at,
        shared_to_at,
        count(*) over (partition by dose_key) as n_candidates
    from nearest_evidence
)

select * from final
