-- Records and reports that are later than the as-of date allows: a clock of another year, or day and month in each other's
-- place. Only in builds that may become the current publication: for a past as_of, all that came later is in order.
with reports as (
    select * from {{ ref('int_dated_report') }}
),

record_versions as (
    select * from {{ ref('int_record_version') }}
),

future_reports as (
    select
        case when reports.room_id = 'unknown' then 'site' else 'room' end as subject_type,
        coalesce(reports.device_serial, reports.station_name, reports.ae_title, 'unknown') as detail,
        nullif(reports.room_id, 'unknown') as room_id,
        count(*) as n_records,
        max(reports.report_date) as latest_date,
        format('dose reports of device {}', detail) as what
    from reports
    where reports.report_date > {{ as_of() }} + {{ var('future_days') }}
    group by reports.room_id, detail
),

future_records as (
    select
        'site' as subject_type,
        record_versions.source_id as detail,
        cast(null as varchar) as room_id,
        count(distinct hash(record_versions.load_seq, record_versions.line)) as n_records,
        max(record_versions.measured_date) as latest_date,
        format('records of source {}', record_versions.source_id) as what
    from record_versions
    where record_versions.is_current and record_versions.measured_date > {{ as_of() }} + {{ var('future_days') }}
    group by record_versions.source_id
),

together as (
    select * from future_reports
    union all
    select * from future_records
),

final as (
    select
        'future_records' as threshold_name,
        subject_type,
        detail,
        room_id,
        {{ as_of() }} as occurred_on,
        cast(n_records as double) as finding_value,
        format('{} {} are dated later than {}; the latest is of {}.', n_records, what, {{ as_of() }}, latest_date)
            as message
    from together
    where {{ may_become_current() }}
)

select * from final
