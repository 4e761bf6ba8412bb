-- Rows of operators that the rules of comparison judge: Hp(10) is known and the patient is not known to be a child.
with operator_procedures as (
    select * from {{ ref('int_operator_procedure') }}
    where hp10_usv is not null and not is_child
),

indicators as (
    select * from {{ ref('fct_operator_procedure') }}
),

final as (
    select
        operator_procedures.procedure_id,
        operator_procedures.operator_id,
        operator_procedures.role_group,
        operator_procedures.site_id,
        operator_procedures.study_name,
        operator_procedures.room_id,
        operator_procedures.procedure_type,
        operator_procedures.procedure_date,
        operator_procedures.started_at,
        operator_procedures.kap_gy_cm2,
        operator_procedures.c_arm_dose_usv,
        indicators.hp10_usv,
        indicators.hp10_per_kap_usv_per_gy_cm2,
        indicators.hp10_to_c_arm_percent
    from operator_procedures
    inner join indicators
        on
            operator_procedures.procedure_id = indicators.procedure_id
            and operator_procedures.operator_id = indicators.operator_id
)

select * from final
