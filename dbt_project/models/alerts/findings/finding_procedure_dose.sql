-- Hp(10) of one operator in one procedure above the third quartile of class and role group, and above the group's floor.
with judged as (
    select * from {{ ref('int_judged_procedure') }}
),

quartiles as (
    select * from {{ ref('int_class_quartile') }}
    where rule = 'procedure_dose'
),

floors as (
    select * from {{ ref('int_role_group_floor') }}
    where rule = 'procedure_dose'
),

thresholds as (
    select
        max(threshold_value) filter (where name = 'min_reference') as min_reference,
        max(severity) as severity,
        max(audience) as audience,
        max(step) as step,
        max(rule_version) as rule_version
    from {{ ref('int_alert_threshold') }}
    where rule = 'procedure_dose'
),

compared as (
    select
        judged.*,
        judged.hp10_usv as finding_value,
        quartiles.quartile_value as third_quartile,
        floors.floor_value as floor,
        quartiles.n_reference,
        greatest(quartiles.quartile_value, floors.floor_value) as threshold,
        case when quartiles.quartile_value > floors.floor_value then 'third_quartile' else 'floor' end as decided_by
    from judged
    inner join quartiles
        on
            judged.procedure_type = quartiles.procedure_type
            and judged.role_group = quartiles.role_group
            and judged.procedure_date = quartiles.procedure_date
    inner join floors on judged.role_group = floors.role_group
),

fired as (
    select
        compared.*,
        thresholds.severity,
        thresholds.audience,
        thresholds.step,
        thresholds.rule_version,
        format(
            'Hp(10) of {:.1f} µSv; third quartile of {} ({}) {:.1f} µSv, n = {}; floor {:.1f} µSv.',
            compared.finding_value,
            compared.procedure_type,
            compared.role_group,
            compared.third_quartile,
            compared.n_reference,
            compared.floor
        ) as message
    from compared
    cross join thresholds
    where compared.finding_value > compared.threshold and compared.n_reference >= thresholds.min_reference
),

final as (
    select
        {{ procedure_finding(
            'procedure_dose', 'hp10', 'uSv', sets=['role_group', 'third_quartile', 'floor', 'decided_by']
        ) }}
    from fired
    -- A study in two rooms is one finding: its higher value.
    qualify row_number() over (partition by alert_id order by fired.finding_value desc, fired.procedure_id asc) = 1
)

select * from final
