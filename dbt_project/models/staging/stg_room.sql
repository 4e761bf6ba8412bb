with source as (
    select * from {{ source('raw', 'ref_rooms') }}
),

renamed as (
    select
        room_id,
        name as room_name,
        specialty,
        station_name,
        device_serial,
        ae_title,
        physical_location,
        manufacturer,
        model,
        device_timezone,
        c_arm_dosimeter,
        quiet_until as quiet_until_date,
        table_attenuation
    from source
)

select * from renamed
