with source as (
    select * from {{ source('raw', 'dose_total') }}
),

renamed as (
    select
        load_seq,
        plane,
        quantity,
        value as total_value
    from source
)

select * from renamed
