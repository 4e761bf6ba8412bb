with source as (
    select * from {{ source('raw', 'ref_training') }}
),

renamed as (
    select
        line,
        operator_id,
        course,
        hours,
        completed_on as completed_date,
        valid_until as valid_until_date
    from source
)

select * from renamed
