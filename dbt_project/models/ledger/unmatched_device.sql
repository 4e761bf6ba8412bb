with devices as (
    select * from {{ ref('int_unmatched_device') }}
),

final as (
    select * from devices
)

select * from final
