-- What each of several candidates has of a session, counter step or hourly residual: by the dose of the C-arm's badge in the
-- time that they share, else by the KAP (contract, linking rule 4).
with shared as (
    select * from {{ ref('int_span_candidate') }}
    where n_candidates > 1
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

shared_procedures as (
    select distinct
        procedure_hash,
        procedure_id
    from shared
),

-- Only samples of shared spans are read: materialized, otherwise all samples would be joined first.
shared_links as materialized (
    select
        dose_key,
        procedure_hash
    from sample_links
    where procedure_hash in (select shared_procedures.procedure_hash from shared_procedures)
),

c_arm_samples as (
    select
        shared_procedures.procedure_id,
        evidence.started_at,
        evidence.dose_usv
    from shared_links
    inner join shared_procedures on shared_links.procedure_hash = shared_procedures.procedure_hash
    inner join evidence on shared_links.dose_key = evidence.dose_key
    where evidence.c_arm_room_id is not null and evidence.quantity = 'hp10'
),

c_arm_weights as (
    select
        shared.dose_key,
        shared.procedure_id,
        sum(c_arm_samples.dose_usv) as c_arm_usv
    from shared
    inner join c_arm_samples
        on
            shared.procedure_id = c_arm_samples.procedure_id
            and shared.shared_from_at <= c_arm_samples.started_at
            and shared.shared_to_at > c_arm_samples.started_at
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

final as (
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
)

select * from final
