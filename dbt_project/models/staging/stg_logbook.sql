with source as (
    select * from {{ source('raw', 'ref_logbook') }}
),

renamed as (
    select
        line,
        study_instance_uid,
        accession_number,
        operator_id,
        role
    from source
)

select * from renamed
