with source as (
    select * from {{ source('raw', 'source_hub') }}
),

renamed as (
    select
        source_id,
        hub,
        room_id
    from source
)

select * from renamed
