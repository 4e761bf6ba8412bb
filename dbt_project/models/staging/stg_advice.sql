with source as (
    select * from {{ source('raw', 'ref_advice') }}
),

renamed as (
    select
        advice_code,
        language,
        sentence
    from source
)

select * from renamed
