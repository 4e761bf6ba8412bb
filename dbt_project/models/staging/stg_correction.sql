with source as (
    select * from {{ source('raw', 'ref_corrections') }}
),

renamed as (
    select
        dosimeter_serial,
        from_at,
        to_at,
        kind,
        operator_id,
        line
    from source
)

select * from renamed
