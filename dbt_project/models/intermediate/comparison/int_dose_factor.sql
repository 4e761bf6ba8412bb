-- What made an operator's dose in a procedure: KAP, scatter (C-arm dose per KAP) and share (Hp(10) per C-arm dose), each against
-- the geometric mean of the reference set of class and role group. Logarithms are DECIMAL, so that their sums are exact in
-- any order.
with operator_procedures as (
    select * from {{ ref('int_operator_procedure') }}
    where not is_child and procedure_type != 'unclassified'
),

thresholds as (
    select
        max(value) filter (where name = 'min_hp10') as min_hp10,
        max(value) filter (where name = 'min_kap') as min_kap,
        max(value) filter (where name = 'min_c_arm_dose') as min_c_arm_dose,
        max(value) filter (where name = 'min_reference') as min_reference,
        to_days(cast(max(value) filter (where name = 'reference_days') as integer)) as reference_period
    from {{ ref('comparison_thresholds') }}
),

measured as (
    select
        operator_procedures.procedure_id,
        operator_procedures.operator_id,
        operator_procedures.site_id,
        operator_procedures.room_id,
        operator_procedures.procedure_type,
        operator_procedures.role_group,
        operator_procedures.procedure_date,
        operator_procedures.hp10_usv,
        {{ logarithm('operator_procedures.kap_gy_cm2') }} as log_kap,
        {{ logarithm('operator_procedures.c_arm_dose_usv') }} - log_kap as log_scatter,
        {{ logarithm('operator_procedures.hp10_usv') }} - log_kap - log_scatter as log_share
    from operator_procedures
    inner join thresholds
        on
            operator_procedures.hp10_usv >= thresholds.min_hp10
            and operator_procedures.kap_gy_cm2 >= thresholds.min_kap
            and operator_procedures.c_arm_dose_usv >= thresholds.min_c_arm_dose
),

daily as (
    select
        site_id,
        procedure_type,
        role_group,
        procedure_date,
        count(*) as n_rows,
        sum(log_kap) as log_kap,
        sum(log_scatter) as log_scatter,
        sum(log_share) as log_share
    from measured
    group by all
),

usual as (
    select
        daily.site_id,
        daily.procedure_type,
        daily.role_group,
        daily.procedure_date,
        sum(daily.n_rows) over days_before as n_reference,
        cast(sum(daily.log_kap) over days_before as double) / n_reference as log_kap,
        cast(sum(daily.log_scatter) over days_before as double) / n_reference as log_scatter,
        cast(sum(daily.log_share) over days_before as double) / n_reference as log_share
    from daily
    cross join thresholds
    window days_before as (
        partition by daily.site_id, daily.procedure_type, daily.role_group
        order by daily.procedure_date
        range between {{ frame_bound('thresholds.reference_period') }} preceding and interval '1 day' preceding
    )
),

final as (
    select
        measured.procedure_id,
        measured.operator_id,
        measured.role_group,
        measured.room_id,
        measured.procedure_date,
        measured.hp10_usv,
        usual.n_reference,
        exp(usual.log_kap + usual.log_scatter + usual.log_share) as usual_hp10_usv,
        measured.log_kap - usual.log_kap as log_kap_factor,
        measured.log_scatter - usual.log_scatter as log_scatter_factor,
        measured.log_share - usual.log_share as log_protection_factor
    from measured
    inner join usual
        on
            measured.site_id = usual.site_id
            and measured.procedure_type = usual.procedure_type
            and measured.role_group = usual.role_group
            and measured.procedure_date = usual.procedure_date
    cross join thresholds
    where usual.n_reference >= thresholds.min_reference
)

select * from final
