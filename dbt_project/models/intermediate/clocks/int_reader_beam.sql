-- The beams, by the badges' clock, of the procedures in which the wearers of readers' badges took part: by the logbook, or by
-- samples of a badge of theirs that were linked to the procedure.
with records as (
    select * from {{ ref('int_reader_record') }}
),

beam_on as (
    select * from {{ ref('int_beam_on') }}
    where clock_basis = 'room'
),

procedure_clocks as (
    select * from {{ ref('int_procedure_clock') }}
    where clock_basis = 'room'
),

logbook as (
    select * from {{ ref('int_logbook') }}
),

sample_links as (
    select * from {{ ref('int_sample_link') }}
    where procedure_hash is not null
),

evidence as (
    select * from {{ ref('int_dose_evidence') }}
    where layout = 'rate_samples' and operator_id in (select records.operator_id from records)
),

events as (
    select * from {{ ref('int_event_kap') }}
),

record_days as (
    select distinct
        operator_id,
        measured_date
    from records
),

-- A clock that is an hour off may put a record on the day before or after.
near_procedures as (
    select distinct
        record_days.operator_id,
        record_days.measured_date,
        procedure_clocks.procedure_id,
        procedure_clocks.procedure_hash,
        procedure_clocks.room_id,
        procedure_clocks.is_clock_known
    from record_days
    inner join procedure_clocks
        on
            procedure_clocks.procedure_date >= record_days.measured_date - 1
            and procedure_clocks.procedure_date <= record_days.measured_date + 1
),

with_samples as (
    select distinct
        evidence.operator_id,
        sample_links.procedure_hash
    from sample_links
    inner join evidence on sample_links.dose_key = evidence.dose_key
),

taken_part as (
    select near_procedures.*
    from near_procedures
    left join logbook
        on
            near_procedures.procedure_id = logbook.procedure_id
            and near_procedures.operator_id = logbook.operator_id
    left join with_samples
        on
            near_procedures.procedure_hash = with_samples.procedure_hash
            and near_procedures.operator_id = with_samples.operator_id
    where logbook.procedure_id is not null or with_samples.procedure_hash is not null
),

final as (
    select
        taken_part.operator_id,
        taken_part.measured_date,
        taken_part.procedure_id,
        taken_part.room_id,
        taken_part.is_clock_known,
        beam_on.irradiation_event_uid,
        epoch(beam_on.started_at) as started_s,
        epoch(beam_on.ended_at) as ended_s,
        cast(events.kap_gy_cm2 as double) as kap_gy_cm2
    from taken_part
    inner join beam_on on taken_part.procedure_id = beam_on.procedure_id
    left join events on beam_on.irradiation_event_uid = events.irradiation_event_uid
)

select * from final
