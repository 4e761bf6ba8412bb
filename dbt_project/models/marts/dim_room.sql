with rooms as (
    select * from {{ ref('stg_room') }}
),

final as (
    select * from rooms
    union all by name
    select
        'unknown' as room_id,
        'Unknown room' as room_name
)

select * from final
