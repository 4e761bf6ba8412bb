with dispositions as (
    select * from {{ ref('int_disposition') }}
    where disposition = 'event' and quantity = 'hp10'
),

operator_procedures as (
    select * from {{ ref('int_operator_procedure') }}
),

-- The same badge as in fct_operator_procedure, so that the events of a procedure add up to its dose at events.
final as (
    select
        dispositions.irradiation_event_uid,
        dispositions.procedure_id,
        dispositions.operator_id,
        cast(sum(dispositions.dose_usv) as double) as hp10_usv
    from dispositions
    inner join operator_procedures
        on
            dispositions.procedure_id = operator_procedures.procedure_id
            and dispositions.operator_id = operator_procedures.operator_id
            and dispositions.dosimeter_serial = operator_procedures.dosimeter_serial
    group by all
)

select * from final
