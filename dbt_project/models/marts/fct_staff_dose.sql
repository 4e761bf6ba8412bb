-- The core table beside its procedure: columns of fct_procedure under their own names in fct_operator_procedure would make
-- every join of the two ambiguous.
with operator_procedures as (
    select * from {{ ref('fct_operator_procedure') }}
),

procedures as (
    select * from {{ ref('fct_procedure') }}
),

final as (
    select
        operator_procedures.procedure_id,
        operator_procedures.operator_id,
        operator_procedures.role_group,
        operator_procedures.badge_status,
        operator_procedures.hp10_usv,
        operator_procedures.hp10_apportioned_usv,
        procedures.procedure_date,
        procedures.room_id,
        procedures.procedure_type,
        procedures.kap_gy_cm2,
        procedures.c_arm_dose_usv
    from operator_procedures
    inner join procedures on operator_procedures.procedure_id = procedures.procedure_id
)

select * from final
