-- The rows of the ledger: each dose with where every part of it went. Parts of one dose sum to it exactly.
{{ config(**incremental_by_date('measured_date', 'int_disposition_day')) }}
{% set is_in_batch = is_in_batch('measured_date') %}
with doses as not materialized (
    select * from {{ ref('int_dose_evidence') }}
    where {{ is_in_batch }}
),

residuals as (
    select * from {{ ref('int_hourly_residual') }}
    where {{ is_in_batch }}
),

sample_links as (
    select * from {{ ref('int_sample_link') }}
    where {{ is_in_batch }}
),

span_links as (
    select * from {{ ref('int_span_link') }}
    where {{ is_in_batch }}
),

vendor_links as (
    select * from {{ ref('int_vendor_link') }}
    where {{ is_in_batch }}
),

-- Of the links of these days only: names of a whole history are long.
events as (
    select distinct
        event_hash,
        irradiation_event_uid
    from {{ ref('int_beam_on') }}
    where event_hash in (select sample_links.event_hash from sample_links)
),

procedures as (
    select distinct
        procedure_hash,
        procedure_id,
        is_clock_known
    from {{ ref('int_procedure_clock') }}
),

decided as (
    select
        dose_key,
        disposition,
        reason,
        procedure_hash,
        event_hash,
        cast(null as varchar) as named_procedure_id,
        cast(null as {{ dose_type() }}) as part_usv,
        candidates
    from sample_links
    union all by name
    select
        dose_key,
        disposition,
        reason,
        hash(procedure_id) as procedure_hash,
        procedure_id as named_procedure_id,
        dose_usv as part_usv,
        candidates,
        is_reader_unknown
    from span_links
    union all by name
    -- A vendor also names studies of unknown rooms: these have no clock.
    select
        dose_key,
        disposition,
        reason,
        hash(procedure_id) as procedure_hash,
        procedure_id as named_procedure_id,
        candidates
    from vendor_links
    union all by name
    -- Of an hourly total what its samples do not show.
    select
        doses.dose_key,
        'manual' as disposition,
        doses.manual_procedure_id as named_procedure_id,
        cast(doses.dose_usv - coalesce(residuals.covered_usv, 0) as {{ dose_type() }}) as part_usv
    from doses
    left join residuals on doses.dose_key = residuals.dose_key
    where
        doses.manual_procedure_id is not null
        and (doses.layout != 'hourly_totals' or doses.dose_usv > coalesce(residuals.covered_usv, 0))
    union all by name
    select
        dose_key,
        'unlinked' as disposition,
        excluded_reason as reason
    from doses
    where excluded_reason is not null and layout != 'hourly_totals'
    union all by name
    -- An hourly total that may not be linked is still covered as far as its samples show it: these have their own fate.
    select
        doses.dose_key,
        'unlinked' as disposition,
        doses.excluded_reason as reason,
        cast(doses.dose_usv - coalesce(residuals.covered_usv, 0) as {{ dose_type() }}) as part_usv
    from doses
    left join residuals on doses.dose_key = residuals.dose_key
    where
        doses.excluded_reason is not null
        and doses.layout = 'hourly_totals'
        and (doses.token is not null or doses.dose_usv > coalesce(residuals.covered_usv, 0))
    union all by name
    select
        dose_key,
        'covered' as disposition,
        covered_usv as part_usv
    from residuals
    where covered_usv > 0
),

final as (
    select
        decided.dose_key,
        doses.load_seq,
        doses.line,
        doses.source_id,
        doses.layout,
        doses.dosimeter_serial,
        doses.badge_key,
        doses.quantity,
        doses.measured_date,
        doses.recorded_started_at as started_at,
        doses.recorded_ended_at as ended_at,
        doses.operator_id,
        doses.worn_at,
        doses.c_arm_room_id,
        doses.evident_room_id,
        doses.peak_rate_usv_per_h,
        decided.disposition,
        decided.reason,
        coalesce(decided.named_procedure_id, procedures.procedure_id) as procedure_id,
        events.irradiation_event_uid,
        decided.candidates,
        -- A link by hand rests on no clock.
        decided.disposition = 'manual'
        or (coalesce(procedures.is_clock_known, false) and not coalesce(decided.is_reader_unknown, false))
            as is_clock_known,
        cast(
            case when doses.token is null then coalesce(decided.part_usv, doses.dose_usv) end as {{ dose_type() }}
        ) as dose_usv
    from decided
    inner join doses on decided.dose_key = doses.dose_key
    -- Names come last: text for millions of samples costs more than linking them.
    left join procedures on decided.procedure_hash = procedures.procedure_hash
    left join events on decided.event_hash = events.event_hash
)

select * from final
