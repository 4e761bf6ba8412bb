with source as (
    select * from {{ source('raw', 'ref_patient_followup') }}
),

renamed as (
    select
        line,
        procedure_id,
        accession_number,
        informed_on as informed_date,
        seen_on as seen_date,
        cast(skin_grade as bigint) as skin_grade
    from source
)

select * from renamed
