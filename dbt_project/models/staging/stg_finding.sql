with source as (
    select * from {{ source('raw', 'finding') }}
),

renamed as (
    select
        load_seq,
        path,
        line,
        field,
        code,
        message
    from source
)

select * from renamed
