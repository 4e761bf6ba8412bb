-- Why an operator's dose in a procedure may be as it is: the first of these that holds. A high share of the C-arm's dose
-- speaks for a missing shield, a KAP above the class for technique, a dose per KAP above the class for the position.
with operator_procedures as (
    select * from {{ ref('fct_operator_procedure') }}
    where hp10_usv is not null
),

procedures as (
    select * from {{ ref('fct_procedure') }}
),

quartiles as (
    select * from {{ ref('int_class_quartile') }}
    where rule = 'dose_per_kap'
),

thresholds as (
    select
        max(threshold_value) filter (where rule = 'dose_to_c_arm' and name = 'limit') as c_arm_percent,
        max(threshold_value) filter (where rule = 'dose_to_c_arm' and name = 'min_c_arm_dose') as min_c_arm_dose,
        to_days(
            cast(max(threshold_value) filter (where rule = 'dose_per_kap' and name = 'reference_days') as integer)
        ) as reference_period,
        max(threshold_value) filter (where rule = 'dose_per_kap' and name = 'min_reference') as min_reference
    from {{ ref('int_alert_threshold') }}
),

-- Of days on which a procedure of the class has a KAP; no other is compared.
class_kap as (
    select distinct
        procedures.procedure_type,
        procedures.procedure_date,
        quantile_cont(procedures.kap_gy_cm2, {{ var('class_quantile') }}) over days_before as kap_quartile,
        count(*) over days_before as n_reference
    from procedures
    cross join thresholds
    where procedures.procedure_type != 'unclassified' and procedures.kap_gy_cm2 is not null
    window days_before as (
        partition by procedures.procedure_type
        order by procedures.procedure_date
        range between {{ frame_bound('thresholds.reference_period') }} preceding and interval '1 day' preceding
    )
),

final as (
    select
        operator_procedures.procedure_id,
        operator_procedures.operator_id,
        case
            when
                operator_procedures.hp10_to_c_arm_percent > thresholds.c_arm_percent
                and procedures.c_arm_dose_usv >= thresholds.min_c_arm_dose
                then 'c_arm_ratio_high'
            when procedures.kap_gy_cm2 > class_kap.kap_quartile and class_kap.n_reference >= thresholds.min_reference
                then 'kap_high'
            when
                operator_procedures.hp10_per_kap_usv_per_gy_cm2 > quartiles.quartile_value
                and quartiles.n_reference >= thresholds.min_reference
                then 'kap_ratio_high'
            else 'nothing_stands_out'
        end as evidence
    from operator_procedures
    cross join thresholds
    inner join procedures on operator_procedures.procedure_id = procedures.procedure_id
    left join class_kap
        on procedures.procedure_type = class_kap.procedure_type and procedures.procedure_date = class_kap.procedure_date
    left join quartiles
        on procedures.procedure_type = quartiles.procedure_type and procedures.procedure_date = quartiles.procedure_date
)

select * from final
