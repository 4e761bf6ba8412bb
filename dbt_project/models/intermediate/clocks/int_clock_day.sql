-- Fingerprints of the inputs of a day's clock estimates: its beams, the doses near them, and the rooms in which these may have been.
-- Doses are compared a few hours around the beams, so the days before and after count too.
with procedures as (
    select * from {{ ref('int_procedure') }}
    where room_id != 'unknown' and started_at is not null
),

reports as (
    select * from {{ ref('int_report') }}
    where is_latest_of_sop
),

report_days as (
    select * from {{ ref('int_report_day') }}
),

dose_days as (
    select * from {{ ref('int_dose_day') }}
),

sample_rooms as (
    select * from {{ ref('int_sample_room') }}
),

site as (
    select * from {{ ref('stg_site') }}
),

room_days as (
    select
        measured_date,
        {{ fingerprint_of('sample_rooms') }} as fingerprint
    from sample_rooms
    group by measured_date
),

-- The beams of a study are those of the days that reported it.
study_days as (
    select distinct
        reports.study_key,
        report_days.report_day,
        report_days.fingerprint
    from reports
    inner join report_days on reports.report_day = report_days.report_day
),

studies as (
    select
        study_key,
        sum(fingerprint) as fingerprint
    from study_days
    group by study_key
),

spans as (
    select
        procedures.procedure_date,
        {{ local_date('min(procedures.started_at)', 'any_value(site.site_timezone)') }} - 1 as from_date,
        {{ local_date('max(procedures.ended_at)', 'any_value(site.site_timezone)') }} + 1 as to_date,
        {{ fingerprint_of('procedures.room_id, studies.study_key, studies.fingerprint') }} as fingerprint
    from procedures
    inner join studies on procedures.study_key = studies.study_key
    cross join site
    group by procedures.procedure_date
),

fingerprints as (
    select
        spans.procedure_date,
        any_value(spans.from_date) as from_date,
        any_value(spans.to_date) as to_date,
        cast(
            hash(any_value(spans.fingerprint), sum(dose_days.fingerprint), sum(room_days.fingerprint)) as hugeint
        ) as fingerprint
    from spans
    left join dose_days
        on spans.from_date <= dose_days.measured_date and spans.to_date >= dose_days.measured_date
    left join room_days on dose_days.measured_date = room_days.measured_date
    group by spans.procedure_date
),

final as (
    select
        fingerprints.procedure_date,
        fingerprints.from_date,
        fingerprints.to_date,
        fingerprints.fingerprint,
        {{ is_stale('fingerprints', 'procedure_date', 'int_clock_match') }} as is_stale
    from fingerprints
)

select * from final
