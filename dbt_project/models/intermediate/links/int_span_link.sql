-- Where sessions, counter steps and hourly residuals belong, with exact shares where several procedures share one
-- (contract, linking rule 4).
with doses as (
    select * from {{ ref('int_dose_evidence') }}
    where
        layout in ('sessions', 'counter_log', 'hourly_totals')
        and barred_reason is null
        and manual_procedure_id is null
),

residuals as (
    select * from {{ ref('int_hourly_residual') }}
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

beam_on as (
    select * from {{ ref('int_beam_on') }}
),

events as (
    select * from {{ ref('int_event_kap') }}
),

spans as (
    select
        doses.dose_key,
        doses.measured_date,
        doses.layout,
        doses.quantity,
        doses.started_at,
        doses.ended_at,
        doses.clock_basis,
        doses.operator_id,
        doses.c_arm_room_id,
        doses.evident_room_id,
        doses.evident_room_ids,
        cast(doses.dose_usv - coalesce(residuals.covered_usv, 0) as {{ dose_type() }}) as open_usv
    from doses
    left join residuals on doses.dose_key = residuals.dose_key
),

-- An hourly total that its samples explain wholly leaves nothing to link.
open_spans as (
    select * from spans
    where layout != 'hourly_totals' or open_usv > 0
),

-- A procedure reaches as far around its events as for samples.
margin as (
    select to_seconds({{ var('window_margin_s') }}) as length
),

near as (
    select
        open_spans.*,
        procedure_clocks.procedure_id,
        procedure_clocks.procedure_hash,
        procedure_clocks.room_id,
        greatest(open_spans.started_at, procedure_clocks.started_at - margin.length) as shared_from_at,
        least(open_spans.ended_at, procedure_clocks.ended_at + margin.length) as shared_to_at,
        open_spans.started_at < procedure_clocks.ended_at
        and open_spans.ended_at > procedure_clocks.started_at as is_overlap,
        coalesce(
            list_contains(open_spans.evident_room_ids, procedure_clocks.room_id),
            procedure_clocks.room_id = open_spans.evident_room_id
        ) as is_in_evident_room
    from open_spans
    cross join margin
    inner join procedure_clocks
        on
            open_spans.clock_basis = procedure_clocks.clock_basis
            and open_spans.started_at < procedure_clocks.ended_at + margin.length
            and open_spans.ended_at > procedure_clocks.started_at - margin.length
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

linked_samples as (
    select
        near_procedures.procedure_id,
        evidence.operator_id,
        evidence.c_arm_room_id,
        evidence.quantity,
        evidence.started_at,
        evidence.dose_usv
    from near_links
    inner join near_procedures on near_links.procedure_hash = near_procedures.procedure_hash
    inner join evidence on near_links.dose_key = evidence.dose_key
),

persons_procedures as (
    select distinct
        operator_id,
        procedure_id
    from linked_samples
    where operator_id is not null
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

candidates as (
    select
        *,
        count(*) over (partition by dose_key) as n_candidates
    from nearest_evidence
),

-- Weights of several: the C-arm badge's dose in the overlap where every candidate has one, else the KAP.
shared as (
    select * from candidates
    where n_candidates > 1
),

c_arm_weights as (
    select
        shared.dose_key,
        shared.procedure_id,
        sum(linked_samples.dose_usv) as c_arm_usv
    from shared
    inner join linked_samples
        on
            shared.procedure_id = linked_samples.procedure_id
            and linked_samples.c_arm_room_id is not null
            and linked_samples.quantity = 'hp10'
            and shared.shared_from_at <= linked_samples.started_at
            and shared.shared_to_at > linked_samples.started_at
    group by all
),

kap_weights as (
    select
        shared.dose_key,
        shared.procedure_id,
        sum(events.kap_gy_cm2) as kap_gy_cm2
    from shared
    inner join beam_on
        on
            shared.procedure_id = beam_on.procedure_id
            and shared.clock_basis = beam_on.clock_basis
            and shared.shared_from_at <= beam_on.started_at
            and shared.shared_to_at > beam_on.started_at
    inner join events on beam_on.irradiation_event_uid = events.irradiation_event_uid
    group by all
),

weighted as (
    select
        shared.dose_key,
        shared.procedure_id,
        shared.open_usv,
        case
            when
                count(c_arm_weights.c_arm_usv) over of_dose = shared.n_candidates
                and sum(c_arm_weights.c_arm_usv) over of_dose > 0
                then cast(c_arm_weights.c_arm_usv as decimal(18, 9))
            else cast(coalesce(kap_weights.kap_gy_cm2, 0) as decimal(18, 9))
        end as weight
    from shared
    left join c_arm_weights
        on shared.dose_key = c_arm_weights.dose_key and shared.procedure_id = c_arm_weights.procedure_id
    left join kap_weights
        on shared.dose_key = kap_weights.dose_key and shared.procedure_id = kap_weights.procedure_id
    window of_dose as (partition by shared.dose_key)
),

-- Exact: each share is the difference of two rounded running parts, so that the shares sum to the dose to the last digit.
running as (
    select
        *,
        sum(weight) over (partition by dose_key) as total_weight,
        sum(weight) over (partition by dose_key order by procedure_id) as upto_weight
    from weighted
),

parts as (
    select
        dose_key,
        procedure_id,
        cast(
            round(cast(open_usv as double) * cast(upto_weight as double) / cast(total_weight as double), 9)
            as {{ dose_type() }}
        ) as rounded_upto_usv,
        open_usv,
        upto_weight = total_weight as is_last
    from running
    where total_weight > 0
),

shares as (
    select
        dose_key,
        procedure_id,
        case when is_last then open_usv else rounded_upto_usv end
        - coalesce(
            lag(case when is_last then open_usv else rounded_upto_usv end)
                over (partition by dose_key order by procedure_id),
            0
        ) as dose_usv
    from parts
),

only_candidates as (
    select
        dose_key,
        procedure_id,
        open_usv as dose_usv
    from candidates
    where n_candidates = 1
),

listed as (
    select
        dose_key,
        string_agg(procedure_id, ' ' order by procedure_id) as candidates
    from candidates
    group by dose_key
),

final as (
    select
        open_spans.dose_key,
        open_spans.measured_date,
        case when open_spans.layout = 'hourly_totals' then 'apportioned' else 'session' end as disposition,
        cast(null as varchar) as reason,
        only_candidates.procedure_id,
        only_candidates.dose_usv,
        cast(null as varchar) as candidates
    from open_spans
    inner join only_candidates on open_spans.dose_key = only_candidates.dose_key
    union all
    select
        open_spans.dose_key,
        open_spans.measured_date,
        'apportioned' as disposition,
        cast(null as varchar) as reason,
        shares.procedure_id,
        shares.dose_usv,
        cast(null as varchar) as candidates
    from open_spans
    inner join shares on open_spans.dose_key = shares.dose_key
    union all
    select
        open_spans.dose_key,
        open_spans.measured_date,
        'unlinked' as disposition,
        case
            when listed.dose_key is not null then 'multi_procedure'
            when open_spans.layout = 'hourly_totals' then 'residual'
            else 'no_procedure'
        end as reason,
        cast(null as varchar) as procedure_id,
        open_spans.open_usv as dose_usv,
        listed.candidates
    from open_spans
    left join listed on open_spans.dose_key = listed.dose_key
    anti join only_candidates on open_spans.dose_key = only_candidates.dose_key
    anti join shares on open_spans.dose_key = shares.dose_key
)

select * from final
