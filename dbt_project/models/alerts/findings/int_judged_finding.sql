-- Every judged row of an operator, in order, and whether a rule of comparison found something in it.
with judged as (
    select * from {{ ref('int_judged_procedure') }}
),

findings as (
    select
        operator_id,
        procedure_id
    from {{ ref('finding_procedure_dose') }}
    union
    select
        operator_id,
        procedure_id
    from {{ ref('finding_dose_per_kap') }}
    union
    select
        operator_id,
        procedure_id
    from {{ ref('finding_dose_to_c_arm') }}
),

explanations as (
    select * from {{ ref('fct_dose_explanation') }}
),

final as (
    select
        judged.site_id,
        judged.study_name,
        judged.room_id,
        judged.operator_id,
        judged.procedure_id,
        judged.procedure_type,
        judged.role_group,
        judged.procedure_date,
        judged.started_at,
        row_number() over (
            partition by judged.operator_id order by judged.started_at, judged.procedure_id
        ) as row_no,
        findings.procedure_id is not null as has_finding,
        explanations.main_cause
    from judged
    left join findings
        on judged.operator_id = findings.operator_id and judged.procedure_id = findings.procedure_id
    left join explanations
        on judged.operator_id = explanations.operator_id and judged.procedure_id = explanations.procedure_id
)

select * from final
