-- Every value that a statistic of rooms or classes rests on: what the patient received once a procedure and role group, what an
-- operator received once an operator.
with operator_procedures as (
    select * from {{ ref('int_operator_procedure') }}
),

procedures as (
    select * from {{ ref('int_procedure') }}
),

thresholds as (
    select
        max(value) filter (where name = 'min_kap') as min_kap,
        max(value) filter (where name = 'min_c_arm_dose') as min_c_arm_dose
    from {{ ref('comparison_thresholds') }}
),

joined as (
    select
        operator_procedures.procedure_id,
        operator_procedures.operator_id,
        operator_procedures.role_group,
        operator_procedures.room_id,
        operator_procedures.procedure_type,
        operator_procedures.procedure_date,
        procedures.patient_key,
        row_number() over (
            partition by operator_procedures.procedure_id, operator_procedures.role_group
            order by operator_procedures.operator_id
        ) = 1 as is_first_of_group,
        cast(operator_procedures.hp10_usv as double) as hp10_usv,
        cast(operator_procedures.kap_gy_cm2 as double) as kap_gy_cm2,
        cast(operator_procedures.c_arm_dose_usv as double) as c_arm_dose_usv,
        cast(procedures.ka_r_mgy as double) as ka_r_mgy,
        cast(procedures.fluoro_time_s as double) as fluoro_time_s
    from operator_procedures
    inner join procedures on operator_procedures.procedure_id = procedures.procedure_id
),

final as (
    unpivot (
        select
            joined.procedure_id,
            joined.operator_id,
            joined.role_group,
            joined.room_id,
            joined.procedure_type,
            joined.procedure_date,
            joined.patient_key,
            case when joined.is_first_of_group then joined.kap_gy_cm2 end as kap,
            case when joined.is_first_of_group then joined.ka_r_mgy end as ka_r,
            case when joined.is_first_of_group then joined.fluoro_time_s end as fluoro_time,
            joined.hp10_usv as hp10,
            case
                when joined.kap_gy_cm2 >= thresholds.min_kap then joined.hp10_usv / joined.kap_gy_cm2
            end as hp10_per_kap,
            case
                when joined.c_arm_dose_usv >= thresholds.min_c_arm_dose
                    then 100 * joined.hp10_usv / joined.c_arm_dose_usv
            end as hp10_to_c_arm
        from joined
        cross join thresholds
    )
    on kap, ka_r, fluoro_time, hp10, hp10_per_kap, hp10_to_c_arm
    into name quantity value quantity_value
)

select * from final
