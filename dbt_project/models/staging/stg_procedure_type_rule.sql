with source as (
    select * from {{ source('raw', 'ref_procedure_types') }}
),

renamed as (
    select
        line,
        priority,
        field,
        match as match_kind,
        pattern,
        procedure_type,
        specialty
    from source
)

select * from renamed
