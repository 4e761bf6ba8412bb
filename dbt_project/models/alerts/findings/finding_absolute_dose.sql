-- Hp(10) of one operator in one procedure above a fixed step; one finding, for the highest step reached.
with operator_procedures as (
    select * from {{ ref('fct_operator_procedure') }}
),

procedures as (
    select * from {{ ref('int_procedure') }}
),

steps as (
    select * from {{ ref('int_alert_threshold') }}
    where rule = 'absolute_dose'
),

fired as (
    select
        procedures.site_id,
        procedures.study_name,
        procedures.room_id,
        procedures.procedure_date,
        operator_procedures.procedure_id,
        operator_procedures.operator_id,
        operator_procedures.hp10_usv as finding_value,
        steps.threshold_value as threshold,
        cast(null as bigint) as n_reference,
        steps.severity,
        steps.audience,
        steps.step,
        steps.rule_version,
        format(
            'Hp(10) of {:.1f} µSv in one procedure is above {:.0f} µSv.',
            operator_procedures.hp10_usv,
            steps.threshold_value
        ) as message
    from operator_procedures
    inner join procedures on operator_procedures.procedure_id = procedures.procedure_id
    inner join steps on operator_procedures.hp10_usv > steps.threshold_value
    qualify row_number() over (
        partition by operator_procedures.procedure_id, operator_procedures.operator_id
        order by steps.threshold_value desc
    ) = 1
),

final as (
    select
        {{ procedure_finding('absolute_dose', 'hp10', 'uSv') }}
    from fired
    -- A study in two rooms is one finding: its higher value.
    qualify row_number() over (partition by alert_id order by fired.finding_value desc, fired.procedure_id asc) = 1
)

select * from final
