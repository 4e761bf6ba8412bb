-- Radiation without a reading: a procedure of an operator of the logbook whose badge is missing, or a month in which the
-- badge shows far less than the medians of class and role group suggest.
with operator_procedures as (
    select * from {{ ref('int_operator_procedure') }}
),

months as (
    select * from {{ ref('fct_operator_month') }}
),

medians as (
    select * from {{ ref('int_class_quartile') }}
    where rule = 'badge_not_worn'
),

site as (
    select * from {{ ref('stg_site') }}
),

rules as (
    select * from {{ ref('int_alert_threshold') }}
    where rule = 'badge_not_worn'
),

limits as (
    select
        max(threshold_value) filter (where name = 'min_c_arm_dose') as min_c_arm_dose,
        max(threshold_value) filter (where name = 'min_kap') as min_kap,
        max(threshold_value) filter (where name = 'min_expected') as min_expected,
        max(threshold_value) filter (where name = 'measured_share') as measured_percent,
        max(threshold_value) filter (where name = 'min_reference') as min_reference
    from rules
    having max(rule) is not null
),

-- KAP counts only where the room has no C-arm badge with a record that day.
unread as (
    select
        operator_procedures.*,
        limits.*,
        operator_procedures.c_arm_dose_usv is null as is_judged_by_kap,
        coalesce(operator_procedures.c_arm_dose_usv, operator_procedures.kap_gy_cm2) as finding_value,
        case
            when operator_procedures.c_arm_dose_usv is null then limits.min_kap else limits.min_c_arm_dose
        end as threshold
    from operator_procedures
    cross join limits
    -- Only the logbook makes a row without a reading.
    where operator_procedures.badge_status = 'missing'
),

procedures as (
    select
        unread.site_id,
        unread.operator_id,
        unread.study_name,
        unread.procedure_id,
        unread.room_id,
        cast(null as date) as period_date,
        unread.procedure_date as occurred_on,
        'procedure' as step,
        case when unread.is_judged_by_kap then 'kap' else 'c_arm_dose' end as quantity,
        cast(unread.finding_value as double) as finding_value,
        unread.threshold,
        case when unread.is_judged_by_kap then 'Gy.cm2' else 'uSv' end as unit,
        cast(null as bigint) as n_reference,
        case
            when unread.is_judged_by_kap
                then
                    format(
                        'No reading of the badge in a procedure of {:.1f} Gy·cm².',
                        cast(unread.finding_value as double)
                    )
            else
                format(
                    'No reading of the badge in a procedure with {:.1f} µSv at the C-arm.',
                    cast(unread.finding_value as double)
                )
        end as message
    from unread
    where unread.finding_value >= unread.threshold
),

-- What an operator may expect in a procedure is the median of class and role group.
expected as (
    select
        operator_procedures.operator_id,
        cast(date_trunc('month', operator_procedures.procedure_date) as date) as month,
        count(*) as n_procedures,
        sum(medians.median_value) as expected_usv
    from operator_procedures
    cross join limits
    inner join medians
        on
            operator_procedures.procedure_type = medians.procedure_type
            and operator_procedures.role_group = medians.role_group
            and operator_procedures.procedure_date = medians.procedure_date
            and limits.min_reference <= medians.n_reference
    where not operator_procedures.is_child
    group by all
),

operator_months as (
    select
        site.site_id,
        expected.operator_id,
        cast(null as varchar) as study_name,
        cast(null as varchar) as procedure_id,
        cast(null as varchar) as room_id,
        expected.month as period_date,
        least(last_day(expected.month), {{ as_of() }}) as occurred_on,
        'month' as step,
        'hp10' as quantity,
        coalesce(months.hp10_over_apron_usv, 0) as finding_value,
        limits.measured_percent / 100 * expected.expected_usv as threshold,
        'uSv' as unit,
        expected.n_procedures as n_reference,
        format(
            'Electronic badge shows {:.1f} µSv in {}; {:.0f} µSv are expected from the class medians of {} procedures.',
            coalesce(months.hp10_over_apron_usv, 0),
            strftime(expected.month, '%Y-%m'),
            expected.expected_usv,
            expected.n_procedures
        ) as message
    from expected
    cross join limits
    cross join site
    left join months on expected.operator_id = months.operator_id and expected.month = months.month
    where expected.expected_usv >= limits.min_expected and finding_value < threshold
),

together as (
    select * from procedures
    union all by name
    select * from operator_months
),

fired as (
    select
        together.*,
        rules.severity,
        rules.audience,
        rules.rule_version
    from together
    inner join rules on together.step = rules.step
),

final as (
    select
        {{ operator_finding('badge_not_worn') }}
    from fired
)

select * from final
