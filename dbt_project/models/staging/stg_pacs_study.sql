with source as (
    select * from {{ source('raw', 'pacs_study') }}
),

renamed as (
    select
        seq as named_seq,
        server,
        study_instance_uid,
        accession_number,
        study_date,
        modalities,
        named_on
    from source
)

select * from renamed
