with operators as (
    select * from {{ ref('stg_operator') }}
),

final as (
    select
        operator_id,
        operator_name,
        specialty,
        grade,
        worker_category,
        email,
        language,
        works_from_date as works_from,
        works_to_date as works_to,
        birth_date,
        pregnancy_declared_date as pregnancy_declared_on,
        pregnancy_ended_date as pregnancy_ended_on,
        rp_training_valid_until_date as rp_training_valid_until,
        wears_lead_glasses,
        wears_thyroid_collar
    from operators
)

select * from final
