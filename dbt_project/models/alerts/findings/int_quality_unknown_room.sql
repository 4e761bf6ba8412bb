-- Devices whose dose reports fit no room of rooms.csv.
with devices as (
    select * from {{ ref('int_unmatched_device') }}
),

final as (
    select
        'unknown_room' as threshold_name,
        'site' as subject_type,
        concat_ws('/', device_serial, station_name, ae_title, physical_location) as detail,
        first_date as occurred_on,
        cast(procedures as double) as finding_value,
        format(
            'The dose reports of {} procedures fit no room of rooms.csv: device_serial {}, station_name {},'
            || ' ae_title {}, physical_location {}.',
            procedures,
            coalesce(device_serial, '-'),
            coalesce(station_name, '-'),
            coalesce(ae_title, '-'),
            coalesce(physical_location, '-')
        ) as message
    from devices
)

select * from final
