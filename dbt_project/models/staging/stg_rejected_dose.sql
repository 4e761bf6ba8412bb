with source as (
    select * from {{ source('raw', 'rejected_dose') }}
),

renamed as (
    select
        load_seq,
        line,
        quantity,
        value_usv
    from source
)

select * from renamed
