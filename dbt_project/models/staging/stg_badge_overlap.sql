with source as (
    select * from {{ source('raw', 'ref_dosimeter_overlap') }}
),

renamed as (
    select
        dosimeter_serial,
        source_id,
        from_date,
        to_date
    from source
)

select * from renamed
