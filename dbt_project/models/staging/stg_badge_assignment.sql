with source as (
    select * from {{ source('raw', 'ref_dosimeters') }}
),

renamed as (
    select
        dosimeter_serial,
        worn_at,
        operator_id,
        room_id,
        valid_from as valid_from_date,
        valid_to as valid_to_date,
        quiet_until as quiet_until_date
    from source
)

select * from renamed
