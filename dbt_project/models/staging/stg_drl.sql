with source as (
    select * from {{ source('raw', 'ref_drl') }}
),

renamed as (
    select
        jurisdiction,
        procedure_type,
        quantity,
        value as drl_value,
        unit,
        year as drl_year,
        citation
    from source
)

select * from renamed
