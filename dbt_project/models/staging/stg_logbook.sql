with source as (
    select * from {{ source('raw', 'ref_logbook') }}
),

renamed as (
    select
        line,
        study_instance_uid,
        accession_number,
        operator_id,
        role,
        procedure_date,
        room_id,
        procedure_name
    from source
)

select * from renamed
