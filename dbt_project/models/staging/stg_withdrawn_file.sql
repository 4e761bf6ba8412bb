with source as (
    select * from {{ source('raw', 'ref_withdrawn_files') }}
),

renamed as (
    select
        sha256,
        withdrawn_by,
        withdrawn_on,
        reason,
        line
    from source
)

select * from renamed
