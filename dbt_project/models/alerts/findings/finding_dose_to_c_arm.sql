-- Hp(10) of one operator against the C-arm badge's dose: a high share says that the shield was not between them.
with operator_procedures as (
    select * from {{ ref('fct_operator_procedure') }}
),

procedures as (
    select * from {{ ref('int_procedure') }}
),

c_arm_doses as (
    select * from {{ ref('int_c_arm_dose') }}
),

thresholds as (
    select
        max(threshold_value) filter (where name = 'limit') as limit_percent,
        max(threshold_value) filter (where name = 'min_c_arm_dose') as min_c_arm_dose,
        max(severity) as severity,
        max(audience) as audience,
        max(step) as step,
        max(rule_version) as rule_version
    from {{ ref('int_alert_threshold') }}
    where rule = 'dose_to_c_arm'
),

fired as (
    select
        procedures.site_id,
        procedures.study_name,
        procedures.room_id,
        procedures.procedure_date,
        operator_procedures.procedure_id,
        operator_procedures.operator_id,
        operator_procedures.hp10_to_c_arm_percent as finding_value,
        thresholds.limit_percent as threshold,
        cast(null as bigint) as n_reference,
        thresholds.severity,
        thresholds.audience,
        thresholds.step,
        thresholds.rule_version,
        format(
            'Hp(10) is {:.1f} % of the C-arm dose of {:.1f} µSv.',
            operator_procedures.hp10_to_c_arm_percent,
            cast(c_arm_doses.c_arm_dose_usv as double)
        ) as message
    from operator_procedures
    inner join procedures on operator_procedures.procedure_id = procedures.procedure_id
    inner join c_arm_doses on operator_procedures.procedure_id = c_arm_doses.procedure_id
    cross join thresholds
    where
        operator_procedures.hp10_to_c_arm_percent > thresholds.limit_percent
        and c_arm_doses.c_arm_dose_usv >= thresholds.min_c_arm_dose
),

final as (
    select
        {{ procedure_finding('dose_to_c_arm', 'hp10_to_c_arm', '%') }}
    from fired
    -- A study in two rooms is one finding: its higher value.
    qualify row_number() over (partition by alert_id order by fired.finding_value desc, fired.procedure_id asc) = 1
)

select * from final
