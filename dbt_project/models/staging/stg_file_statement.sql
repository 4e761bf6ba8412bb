with source as (
    select * from {{ source('raw', 'file_statement') }}
),

renamed as (
    select
        load_seq,
        quantity,
        rows_stated,
        stated_usv
    from source
)

select * from renamed
