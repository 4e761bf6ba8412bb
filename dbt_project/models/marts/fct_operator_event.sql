with disposed_doses as (
    select * from {{ ref('int_disposed_dose') }}
    where disposition = 'event' and quantity = 'hp10'
),

operator_procedures as (
    select * from {{ ref('int_operator_procedure') }}
),

-- The same badge as in fct_operator_procedure, so that the events of a procedure add up to its dose at events.
final as (
    select
        disposed_doses.irradiation_event_uid,
        disposed_doses.procedure_id,
        disposed_doses.operator_id,
        cast(sum(disposed_doses.dose_usv) as double) as hp10_usv
    from disposed_doses
    inner join operator_procedures
        on
            disposed_doses.procedure_id = operator_procedures.procedure_id
            and disposed_doses.operator_id = operator_procedures.operator_id
            and disposed_doses.badge_key = operator_procedures.badge_key
    group by all
)

select * from final
