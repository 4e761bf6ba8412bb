with source as (
    select * from {{ source('raw', 'ref_withdrawn_files') }}
),

renamed as (
    select
        sha256,
        by as withdrawn_by,
        "on" as withdrawn_on,
        reason,
        line
    from source
)

select * from renamed
