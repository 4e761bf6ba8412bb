-- What patient_followup.csv states of a procedure up to as_of; a row that names no procedure of the warehouse has none.
with followups as (
    select * from {{ ref('stg_patient_followup') }}
),

procedures as (
    select * from {{ ref('int_procedure') }}
),

named as (
    select
        line,
        procedure_id
    from followups
    where procedure_id is not null
    union all
    select
        followups.line,
        procedures.procedure_id
    from followups
    inner join procedures on followups.accession_number = procedures.accession_number
),

final as (
    select
        followups.line,
        procedures.procedure_id,
        coalesce(followups.procedure_id, followups.accession_number) as named,
        case when followups.informed_date <= {{ as_of() }} then followups.informed_date end as informed_date,
        case when followups.seen_date <= {{ as_of() }} then followups.seen_date end as seen_date,
        case
            when coalesce(followups.seen_date, {{ as_of() }}) <= {{ as_of() }} then followups.skin_grade
        end as skin_grade
    from followups
    left join named on followups.line = named.line
    left join procedures on named.procedure_id = procedures.procedure_id
)

select * from final
