with source as (
    select * from {{ source('raw', 'rejected_row') }}
),

renamed as (
    select
        load_seq,
        line,
        reason,
        raw
    from source
)

select * from renamed
