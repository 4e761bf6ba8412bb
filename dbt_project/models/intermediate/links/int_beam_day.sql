-- What the beams of a day's reports are made from: the events, the clocks of their procedures, and the events of every day whose
-- studies lasted into theirs, since a beam ends at the latest where the next one of its room and plane begins.
with report_days as (
    select * from {{ ref('int_report_day') }}
),

reported_studies as (
    select distinct
        report_day,
        study_key
    from {{ ref('int_report') }}
    where is_latest_of_sop
),

study_rooms as (
    select * from {{ ref('int_study_room') }}
    where started_at is not null
),

study_clocks as (
    select
        study_key,
        sum(hash(room_id, procedure_id, clock_basis, shift_s, uncertainty_s)) as study_hash
    from {{ ref('int_procedure_clock') }}
    group by study_key
),

spans as (
    select
        reported_studies.report_day,
        min(study_rooms.started_at) as from_at,
        max(greatest(study_rooms.started_at, study_rooms.ended_at)) as to_at
    from reported_studies
    inner join study_rooms on reported_studies.study_key = study_rooms.study_key
    group by reported_studies.report_day
),

clock_days as (
    select
        reported_studies.report_day,
        sum(hash(study_clocks.study_key, study_clocks.study_hash)) as fingerprint
    from reported_studies
    inner join study_clocks on reported_studies.study_key = study_clocks.study_key
    group by reported_studies.report_day
),

reached_days as (
    select
        spans.report_day,
        report_days.report_day as reached_day,
        report_days.n_rows,
        report_days.fingerprint
    from spans
    inner join spans as lasting on spans.from_at <= lasting.to_at and spans.to_at >= lasting.from_at
    inner join report_days on lasting.report_day = report_days.report_day
),

final as (
    select
        reached_days.report_day,
        cast(sum(reached_days.n_rows) as bigint) as n_rows,
        list(reached_days.reached_day order by reached_days.reached_day) as reached_days,
        cast(
            hash(
                list(reached_days.fingerprint order by reached_days.reached_day), any_value(clock_days.fingerprint)
            ) as hugeint
        ) as fingerprint
    from reached_days
    left join clock_days on reached_days.report_day = clock_days.report_day
    group by reached_days.report_day
)

select * from final
