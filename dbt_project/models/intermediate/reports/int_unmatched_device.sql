-- Which devices sent dose reports that no row of rooms.csv fits: a missing room, or a slip in one of its identifiers.
with reports as (
    select * from {{ ref('int_report') }}
    where is_latest_of_sop and room_id = 'unknown' and ambiguous_rooms is null
),

procedures as (
    select * from {{ ref('int_procedure') }}
    where room_id = 'unknown'
),

final as (
    select
        reports.device_serial,
        reports.station_name,
        reports.ae_title,
        reports.physical_location,
        count(*) as reports,
        count(distinct procedures.procedure_id) as procedures,
        min(reports.report_date) as first_date,
        max(reports.report_date) as last_date
    from reports
    left join procedures on reports.study_key = procedures.study_key
    group by reports.device_serial, reports.station_name, reports.ae_title, reports.physical_location
)

select * from final
