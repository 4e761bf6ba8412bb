-- What the clock estimates of a day are made from: its beams, the doses near them, and the rooms that evidence allows these.
-- A badge is looked for a few hours around the beams, so that the days before and after count.
with beams as (
    select * from {{ ref('int_clock_beam') }}
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

spans as (
    select
        beams.procedure_date,
        {{ local_date('to_timestamp(min(beams.started_s))', 'any_value(site.site_timezone)') }} - 1 as from_date,
        {{ local_date('to_timestamp(max(beams.ended_s))', 'any_value(site.site_timezone)') }} + 1 as to_date,
        {{ fingerprint_of('beams') }} as fingerprint
    from beams
    cross join site
    group by beams.procedure_date
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
        {{ is_due('fingerprints', 'procedure_date', 'int_clock_match') }} as is_due
    from fingerprints
)

select * from final
