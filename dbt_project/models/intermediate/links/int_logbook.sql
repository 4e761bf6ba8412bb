-- Who the logbook names in which procedure: by study UID, else by accession number; one role per person.
with logbook as (
    select * from {{ ref('stg_logbook') }}
),

procedures as (
    select
        procedure_id,
        study_instance_uid,
        accession_number,
        procedure_date
    from {{ ref('int_procedure') }}
),

roles as (
    select * from {{ ref('operator_roles') }}
),

by_study as (
    select
        procedures.procedure_id,
        procedures.procedure_date,
        logbook.operator_id,
        logbook.role,
        logbook.line
    from logbook
    inner join procedures on logbook.study_instance_uid = procedures.study_instance_uid
),

by_accession as (
    select
        procedures.procedure_id,
        procedures.procedure_date,
        logbook.operator_id,
        logbook.role,
        logbook.line
    from logbook
    inner join procedures on logbook.accession_number = procedures.accession_number
    where logbook.study_instance_uid is null
),

together as (
    select * from by_study
    union all
    select * from by_accession
),

final as (
    select
        together.procedure_id,
        together.procedure_date,
        together.operator_id,
        together.role
    from together
    left join roles on together.role = roles.role
    qualify row_number() over (
        partition by together.procedure_id, together.operator_id order by roles.role_rank nulls last, together.line
    ) = 1
)

select * from final
