-- Everything about clocks, badges, rooms and records that makes other figures less certain, above its tolerance.
with clocks as (
    select
        *,
        'room' as subject_type,
        cast(occurred_on as varchar) as period
    from {{ ref('int_quality_clock') }}
),

unlinked as (
    select
        * exclude (room_id, wearer),
        wearer as detail,
        case when room_id = 'unknown' then 'site' else 'room' end as subject_type,
        nullif(room_id, 'unknown') as room_id,
        month_date as occurred_on,
        cast(month_date as varchar) as period
    from {{ ref('int_quality_unlinked') }}
),

c_arm_drifts as (
    select
        *,
        'room' as subject_type,
        cast(occurred_on as varchar) as period
    from {{ ref('int_quality_c_arm_drift') }}
),

records as (
    select * from {{ ref('int_quality_record') }}
),

counters as (
    select * from {{ ref('int_quality_counter') }}
),

files as (
    select * from {{ ref('int_quality_file') }}
),

silences as (
    select * from {{ ref('int_quality_silence') }}
),

missing_reports as (
    select * from {{ ref('int_quality_missing_report') }}
),

unknown_rooms as (
    select * from {{ ref('int_quality_unknown_room') }}
),

future_records as (
    select * from {{ ref('int_quality_future') }}
),

patient_ids as (
    select * from {{ ref('int_quality_patient_id') }}
),

refused_sources as (
    select * from {{ ref('int_quality_refused_source') }}
),

thresholds as (
    select * from {{ ref('int_alert_threshold') }}
    where rule = 'data_quality' and step is not null
),

site as (
    select * from {{ ref('stg_site') }}
),

candidates as (
    select * from clocks
    union all by name
    select * from unlinked
    union all by name
    select * from c_arm_drifts
    union all by name
    select * from records
    union all by name
    select * from counters
    union all by name
    select * from files
    union all by name
    select * from refused_sources
    union all by name
    select * from silences
    union all by name
    select * from missing_reports
    union all by name
    select * from unknown_rooms
    union all by name
    select * from future_records
    union all by name
    select * from patient_ids
),

fired as (
    select
        site.site_id,
        candidates.subject_type,
        candidates.operator_id,
        candidates.study_name,
        candidates.procedure_id,
        cast(null as varchar) as patient_key,
        candidates.room_id,
        candidates.occurred_on,
        candidates.period,
        candidates.finding_value,
        candidates.n_reference,
        candidates.message,
        concat_ws('/', thresholds.step, candidates.detail) as step,
        candidates.detail,
        thresholds.step as quantity,
        thresholds.threshold_value as threshold,
        thresholds.unit,
        thresholds.severity,
        thresholds.audience,
        thresholds.rule_version
    from candidates
    inner join thresholds
        on candidates.threshold_name = thresholds.name and candidates.finding_value > thresholds.threshold_value
    cross join site
),

final as (
    {{ findings_of('data_quality', sets=['detail']) }}
)

select * from final
