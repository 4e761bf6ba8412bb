with source as (
    select * from {{ source('raw', 'ref_clock_offsets') }}
),

renamed as (
    select
        room_id,
        source_id,
        offset_s,
        valid_from as valid_from_date,
        valid_to as valid_to_date,
        note
    from source
)

select * from renamed
