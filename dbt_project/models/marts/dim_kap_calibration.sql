with calibrations as (
    select * from {{ ref('stg_kap_calibration') }}
),

final as (
    select
        room_id,
        plane,
        cast(kap_factor as double) as kap_factor,
        valid_from_date as valid_from,
        valid_to_date as valid_to,
        certificate
    from calibrations
)

select * from final
