-- X-ray devices as their dose reports name them; what changes from report to report is that of the latest.
with reports as (
    select * from {{ ref('int_report') }}
    where is_latest_of_sop
),

named as (
    select
        {{ key_of([
            "coalesce(reports.device_serial, '')",
            "coalesce(reports.manufacturer, '')",
            "case when reports.device_serial is null then coalesce(reports.station_name, '') else '' end",
            "case when reports.device_serial is null then coalesce(reports.model, '') else '' end",
        ]) }} as device_key,
        reports.device_serial,
        reports.manufacturer,
        reports.device_uid,
        reports.model,
        reports.station_name,
        reports.room_id,
        reports.report_date,
        reports.version_rank
    from reports
),

latest as (
    select
        *,
        count(*) over (partition by device_key) as reports,
        min(report_date) over (partition by device_key) as first_date,
        max(report_date) over (partition by device_key) as last_date
    from named
    qualify row_number() over (partition by device_key order by version_rank desc) = 1
),

final as (
    select
        device_key,
        device_serial,
        manufacturer,
        device_uid,
        model,
        station_name,
        room_id,
        reports,
        first_date,
        last_date
    from latest
)

select * from final
