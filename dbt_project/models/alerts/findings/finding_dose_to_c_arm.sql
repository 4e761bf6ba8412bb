-- Hp(10) of one operator against the C-arm badge's dose: a high share means that the shield was not between them. What is high
-- follows from class and role group, but a class without shielding does not raise its own threshold.
with judged as (
    select * from {{ ref('int_judged_procedure') }}
),

quartiles as (
    select * from {{ ref('int_class_quartile') }}
    where rule = 'dose_to_c_arm'
),

thresholds as (
    select
        max(threshold_value) filter (where name = 'limit') as floor,
        max(threshold_value) filter (where name = 'cap') as cap_value,
        max(threshold_value) filter (where name = 'min_c_arm_dose') as min_c_arm_dose,
        max(threshold_value) filter (where name = 'min_hp10') as min_hp10,
        max(threshold_value) filter (where name = 'min_reference') as min_reference,
        max(severity) as severity,
        max(audience) as audience,
        max(step) as step,
        max(rule_version) as rule_version
    from {{ ref('int_alert_threshold') }}
    where rule = 'dose_to_c_arm'
),

compared as (
    select
        judged.*,
        thresholds.*,
        judged.hp10_to_c_arm_percent as finding_value,
        quartiles.quartile_value as third_quartile,
        quartiles.n_reference,
        greatest(
            thresholds.floor, least(thresholds.cap_value, coalesce(quartiles.quartile_value, thresholds.floor))
        ) as threshold,
        case
            when threshold = thresholds.floor then 'floor'
            when threshold = quartiles.quartile_value then 'third_quartile'
            else 'cap'
        end as decided_by
    from judged
    cross join thresholds
    left join quartiles
        on
            judged.procedure_type = quartiles.procedure_type
            and judged.role_group = quartiles.role_group
            and judged.procedure_date = quartiles.procedure_date
            and thresholds.min_reference <= quartiles.n_reference
),

fired as (
    select
        *,
        case
            when third_quartile is null
                then
                    format(
                        'Hp(10) is {:.1f} % of the C-arm dose of {:.1f} µSv; floor {:.1f} %.',
                        finding_value,
                        cast(c_arm_dose_usv as double),
                        floor
                    )
            else
                format(
                    'Hp(10) is {:.1f} % of the C-arm dose of {:.1f} µSv; third quartile of {} ({}) {:.1f} %, n = {}; '
                    || 'floor {:.1f} %, at most {:.1f} %.',
                    finding_value,
                    cast(c_arm_dose_usv as double),
                    procedure_type,
                    role_group,
                    third_quartile,
                    n_reference,
                    floor,
                    cap_value
                )
        end as message
    from compared
    where finding_value > threshold and c_arm_dose_usv >= min_c_arm_dose and hp10_usv >= min_hp10
),

final as (
    select
        {{ procedure_finding(
            'dose_to_c_arm', 'hp10_to_c_arm', '%', sets=['role_group', 'third_quartile', 'floor', 'decided_by']
        ) }}
    from fired
    -- A study in two rooms is one finding: its higher value.
    qualify row_number() over (partition by alert_id order by fired.finding_value desc, fired.procedure_id asc) = 1
)

select * from final
