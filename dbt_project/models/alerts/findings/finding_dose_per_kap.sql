-- Hp(10) per KAP of one operator in one procedure above the third quartile of the class and above a floor.
with operator_procedures as (
    select * from {{ ref('fct_operator_procedure') }}
),

procedures as (
    select * from {{ ref('int_procedure') }}
),

quartiles as (
    select * from {{ ref('int_class_quartile') }}
    where rule = 'dose_per_kap'
),

thresholds as (
    select
        max(threshold_value) filter (where name = 'floor') as floor_value,
        max(threshold_value) filter (where name = 'min_kap') as min_kap,
        max(threshold_value) filter (where name = 'min_reference') as min_reference,
        max(severity) as severity,
        max(audience) as audience,
        max(step) as step,
        max(rule_version) as rule_version
    from {{ ref('int_alert_threshold') }}
    where rule = 'dose_per_kap'
),

fired as (
    select
        procedures.site_id,
        procedures.study_name,
        procedures.room_id,
        procedures.procedure_date,
        operator_procedures.procedure_id,
        operator_procedures.operator_id,
        operator_procedures.hp10_per_kap_usv_per_gy_cm2 as finding_value,
        greatest(quartiles.quartile_value, thresholds.floor_value) as threshold,
        quartiles.quartile_value as third_quartile,
        thresholds.floor_value as floor,
        case when third_quartile >= floor then 'third_quartile' else 'floor' end as decided_by,
        quartiles.n_reference,
        thresholds.severity,
        thresholds.audience,
        thresholds.step,
        thresholds.rule_version,
        format(
            'Hp(10) per KAP of {:.2f} µSv/(Gy·cm²) is above the third quartile of its class {} ({:.2f}, n = {}).',
            operator_procedures.hp10_per_kap_usv_per_gy_cm2,
            procedures.procedure_type,
            quartiles.quartile_value,
            quartiles.n_reference
        ) as message
    from operator_procedures
    inner join procedures on operator_procedures.procedure_id = procedures.procedure_id
    inner join quartiles
        on
            procedures.procedure_type = quartiles.procedure_type
            and procedures.procedure_date = quartiles.procedure_date
    cross join thresholds
    where
        operator_procedures.hp10_per_kap_usv_per_gy_cm2 > quartiles.quartile_value
        and operator_procedures.hp10_per_kap_usv_per_gy_cm2 > thresholds.floor_value
        and procedures.kap_gy_cm2 >= thresholds.min_kap
        and quartiles.n_reference >= thresholds.min_reference
),

final as (
    select
        {{ procedure_finding(
            'dose_per_kap', 'hp10_per_kap', 'uSv/(Gy.cm2)', sets=['third_quartile', 'floor', 'decided_by']
        ) }}
    from fired
    -- A study in two rooms is one finding: its higher value.
    qualify row_number() over (partition by alert_id order by fired.finding_value desc, fired.procedure_id asc) = 1
)

select * from final
