with source as (
    select * from {{ source('raw', 'ref_limits') }}
),

renamed as (
    select
        jurisdiction,
        quantity,
        dose_window,
        category,
        limit_msv,
        valid_from,
        valid_to,
        citation,
        confirmed_by,
        confirmed_on as confirmed_date,
        line
    from source
)

select * from renamed
