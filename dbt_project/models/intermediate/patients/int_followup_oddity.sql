-- Rows of patient_followup.csv that name no procedure: what was done for a patient would be lost.
with followups as (
    select * from {{ ref('int_patient_followup') }}
),

final as (
    select
        'unknown_procedure' as code,
        cast(null as bigint) as load_seq,
        'reference/patient_followup.csv' as path,
        line,
        'procedure_id' as field,
        format('No procedure is {}: the follow-up of this row belongs to none.', named) as message
    from followups
    where procedure_id is null
)

select * from final
