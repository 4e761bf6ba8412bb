-- The training of each person that holds longest decides: a refresher has another name than the course that it renews.
with operators as (
    select * from {{ ref('stg_operator') }}
),

trainings as (
    select * from {{ ref('int_training') }}
),

thresholds as (
    select * from {{ ref('dim_alert_threshold') }}
    where rule = 'training_due'
),

warning as (
    select max(threshold_value) as due_days from thresholds
),

counted as (
    select
        operator_id,
        count(*) filter (where validity_source != 'operators_csv') as n_trainings
    from trainings
    group by operator_id
),

longest as (
    select * from trainings
    qualify row_number() over (
        partition by operator_id
        -- A training without a date of expiry decides only where no other does.
        order by valid_until_date desc nulls last, completed_date desc nulls last, course asc
    ) = 1
),

final as (
    select
        operators.operator_id,
        operators.specialty,
        operators.grade,
        coalesce(operators.works_from_date <= {{ as_of() }}, true)
        and coalesce(operators.works_to_date >= {{ as_of() }}, true) as is_at_work,
        coalesce(counted.n_trainings, 0) as n_trainings,
        longest.course,
        longest.completed_date as completed_on,
        longest.valid_until_date as valid_until,
        coalesce(longest.validity_source, 'none') as validity_source,
        longest.validity_citation,
        longest.validity_status,
        longest.valid_until_date - {{ as_of() }} as days_left,
        case
            when longest.operator_id is null then 'not_recorded'
            when longest.valid_until_date is null then 'no_expiry_known'
            when longest.valid_until_date < {{ as_of() }} then 'expired'
            when longest.valid_until_date <= {{ as_of() }} + cast(warning.due_days as integer) then 'due'
            else 'valid'
        end as state
    from operators
    cross join warning
    left join counted on operators.operator_id = counted.operator_id
    left join longest on operators.operator_id = longest.operator_id
)

select * from final
