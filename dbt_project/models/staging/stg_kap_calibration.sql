with source as (
    select * from {{ source('raw', 'ref_kap_calibration') }}
),

renamed as (
    select
        room_id,
        plane,
        factor as kap_factor,
        valid_from as valid_from_date,
        valid_to as valid_to_date,
        certificate
    from source
)

select * from renamed
