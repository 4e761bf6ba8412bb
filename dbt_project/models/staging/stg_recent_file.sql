with source as (
    select * from {{ source('raw', 'recent_file') }}
),

renamed as (
    select load_seq from source
)

select * from renamed
