with source as (
    select * from {{ source('raw', 'unanswered_object') }}
),

renamed as (
    select
        server,
        study_date,
        study_instance_uid,
        series_instance_uid,
        sop_instance_uid,
        accession_number,
        nights,
        is_given_up,
        first_failed_on,
        last_failed_on,
        reason
    from source
)

select * from renamed
