with source as (
    select * from {{ source('raw', 'ref_drl') }}
),

renamed as (
    select
        jurisdiction,
        procedure_type,
        quantity,
        canonical_value as drl_value,
        value as stated_value,
        unit as stated_unit,
        year as drl_year,
        citation,
        coalesce(scope, 'national') as drl_scope
    from source
)

select * from renamed
