with source as (
    select * from {{ source('raw', 'ref_links') }}
),

renamed as (
    select
        procedure_id,
        accession_number,
        dosimeter_serial,
        from_at,
        to_at,
        line
    from source
)

select * from renamed
