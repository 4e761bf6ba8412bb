-- Until when each completed training holds: the certificate's own date, else the term of the law in force on as_of, whenever the
-- training was completed, where this product has its source, else not known. No date is computed from a term without a source.
with trainings as (
    select * from {{ ref('stg_training') }}
    where completed_date <= {{ as_of() }}
),

operators as (
    select * from {{ ref('stg_operator') }}
    where rp_training_valid_until_date is not null
),

requirements as (
    select * from {{ ref('training_requirement') }}
),

site as (
    select * from {{ ref('stg_site') }}
),

of_law as (
    select requirements.*
    from requirements
    inner join site on requirements.jurisdiction = site.jurisdiction
    where {{ in_force('requirements') }}
),

of_file as (
    select
        trainings.operator_id,
        trainings.course,
        trainings.completed_date,
        coalesce(
            trainings.valid_until_date,
            cast(trainings.completed_date + to_years(of_law.valid_years) as date)
        ) as valid_until_date,
        case
            when trainings.valid_until_date is not null then 'certificate'
            when of_law.valid_years is not null then 'requirement'
            else 'none'
        end as validity_source,
        of_law.source as validity_citation,
        of_law.status as validity_status
    from trainings
    left join of_law on trainings.valid_until_date is null
),

of_register as (
    select
        operator_id,
        cast(null as varchar) as course,
        cast(null as date) as completed_date,
        rp_training_valid_until_date as valid_until_date,
        'operators_csv' as validity_source,
        cast(null as varchar) as validity_citation,
        cast(null as varchar) as validity_status
    from operators
),

final as (
    select * from of_file
    union all by name
    select * from of_register
)

select * from final
