with source as (
    select * from {{ source('raw', 'ref_operators') }}
),

renamed as (
    select
        operator_id,
        name as operator_name,
        specialty,
        grade,
        worker_category,
        email,
        language,
        works_from as works_from_date,
        works_to as works_to_date,
        birth_date,
        pregnancy_began_on as pregnancy_began_date,
        pregnancy_declared_on as pregnancy_declared_date,
        pregnancy_ended_on as pregnancy_ended_date,
        rp_training_valid_until as rp_training_valid_until_date,
        wears_lead_glasses,
        wears_thyroid_collar
    from source
)

select * from renamed
