-- What is wrong with single records: totals that disagree with their events, training that has expired, input that was
-- refused or odd, reports and samples of no certain room, studies of no certain patient.
with procedures as (
    select * from {{ ref('int_procedure') }}
),

studies as (
    select * from {{ ref('int_study_dose') }}
),

operators as (
    select * from {{ ref('stg_operator') }}
),

reports as (
    select * from {{ ref('int_report') }}
    where is_latest_of_sop
),

input_findings as (
    select * from {{ ref('stg_finding') }}
),

badge_hours as (
    select * from {{ ref('int_badge_hour') }}
),

manual_links as (
    select * from {{ ref('int_manual_link') }}
),

hubs as (
    select * from {{ ref('stg_source_hub') }}
),

site as (
    select * from {{ ref('stg_site') }}
),

gap_shares as (
    select threshold_value / 100 as least_share
    from {{ ref('int_alert_threshold') }}
    where rule = 'data_quality' and name = 'totals_gap_share'
),

totals_gaps as (
    select
        'totals_gap' as threshold_name,
        'procedure' as subject_type,
        procedures.study_name,
        procedures.procedure_id,
        procedures.room_id,
        procedures.procedure_date as occurred_on,
        abs(cast(procedures.kap_gy_cm2 as double) - cast(procedures.kap_event_sum_gy_cm2 as double)) as finding_value,
        format(
            'The accumulated KAP of {:.6g} Gy·cm² and the sum of its events, {:.6g} Gy·cm², do not agree.',
            cast(procedures.kap_gy_cm2 as double),
            cast(procedures.kap_event_sum_gy_cm2 as double)
        ) as message
    from procedures
    cross join gap_shares
    where
        procedures.kap_source = 'accumulated'
        and finding_value > gap_shares.least_share * cast(procedures.kap_gy_cm2 as double)
),

expired_training as (
    select
        'training_expired' as threshold_name,
        'operator' as subject_type,
        operator_id,
        cast(rp_training_valid_until_date as varchar) as period,
        rp_training_valid_until_date + 1 as occurred_on,
        cast({{ as_of() }} - rp_training_valid_until_date as double) as finding_value,
        format('The radiation protection training of {} was valid until {}.', operator_id, rp_training_valid_until_date)
            as message
    from operators
    where
        rp_training_valid_until_date < {{ as_of() }}
        and coalesce(works_to_date, {{ as_of() }}) > rp_training_valid_until_date
),

-- Rows of the site's own files: one finding a file and kind, a new one when other rows are odd.
refused_rows as (
    select
        'refused_input' as threshold_name,
        'site' as subject_type,
        concat_ws('/', path, code, sha256(string_agg(message, chr(31) order by message))) as detail,
        {{ as_of() }} as occurred_on,
        cast(count(*) as double) as finding_value,
        left(
            format('{}: ', path)
            || string_agg(
                concat_ws(' ', 'line ' || line, field, message), '; ' order by line nulls first, field, message
            ),
            1000
        ) as message
    from input_findings
    where load_seq is null
    group by path, code
),

-- Values of dose reports that could not be read: one finding a room, kind and field.
odd_reports as (
    select
        'refused_input' as threshold_name,
        case when reports.room_id = 'unknown' then 'site' else 'room' end as subject_type,
        concat_ws('/', input_findings.code, input_findings.field) as detail,
        reports.room_id,
        min(reports.report_date) as occurred_on,
        cast(count(distinct reports.load_seq) as double) as finding_value,
        format(
            'In {} dose reports of room {}: {}.',
            count(distinct reports.load_seq),
            reports.room_id,
            arg_min(input_findings.message, (reports.report_date, reports.load_seq))
        ) as message
    from input_findings
    inner join reports on input_findings.load_seq = reports.load_seq
    group by input_findings.code, input_findings.field, reports.room_id
),

ambiguous_rooms as (
    select
        'ambiguous_room' as threshold_name,
        'site' as subject_type,
        concat_ws('/', room_identifier, ambiguous_rooms) as detail,
        min(report_date) as occurred_on,
        cast(count(*) as double) as finding_value,
        format(
            '{} dose reports are of no certain room: rooms {} share one {}.', count(*), ambiguous_rooms, room_identifier
        ) as message
    from reports
    where ambiguous_rooms is not null
    group by room_identifier, ambiguous_rooms
),

unknown_hubs as (
    select
        'unknown_hub' as threshold_name,
        'site' as subject_type,
        concat_ws('/', badge_hours.source_id, badge_hours.hub) as detail,
        min(badge_hours.measured_date) as occurred_on,
        cast(sum(badge_hours.n_records) as double) as finding_value,
        format(
            '{} records of source {} name hub {}, which has no room.',
            cast(sum(badge_hours.n_records) as bigint),
            badge_hours.source_id,
            badge_hours.hub
        ) as message
    from badge_hours
    anti join hubs on badge_hours.source_id = hubs.source_id and badge_hours.hub = hubs.hub
    where badge_hours.hub is not null
    group by badge_hours.source_id, badge_hours.hub
),

-- Links by hand begin on a local date; those of a later one than as_of are not judged yet.
dated_links as (
    select
        manual_links.*,
        {{ local_date('manual_links.from_at', 'site.site_timezone') }} as from_date
    from manual_links
    cross join site
),

unknown_links as (
    select
        'unknown_link' as threshold_name,
        'site' as subject_type,
        named as detail,
        min(from_date) as occurred_on,
        cast(count(*) as double) as finding_value,
        format(
            'reference/links.csv line {}: {} procedures are {}; the doses keep their ordinary link.',
            min(line),
            any_value(n_procedures),
            named
        ) as message
    from dated_links
    where procedure_id is null and from_date <= {{ as_of() }}
    group by named
),

unnamed_patients as (
    select
        'no_patient_id' as threshold_name,
        'site' as subject_type,
        strftime(study_date, '%Y-%m') as period,
        min(study_date) as occurred_on,
        cast(count(*) as double) as finding_value,
        format('{} studies of {} have no patient ID and are in no patient''s sum.', count(*), period) as message
    from studies
    where patient_key is null
    group by period
),

final as (
    select * from totals_gaps
    union all by name
    select * from expired_training
    union all by name
    select * from refused_rows
    union all by name
    select * from odd_reports
    union all by name
    select * from ambiguous_rooms
    union all by name
    select * from unknown_hubs
    union all by name
    select * from unnamed_patients
    union all by name
    select * from unknown_links
)

select * from final
