-- For every procedure class, role group and date with procedures: quartile and median of the 365 days before, and how many
-- rows they rest on. The reference set is all rows of the group that are judged.
with judged as (
    select * from {{ ref('int_judged_procedure') }}
    where procedure_type != 'unclassified'
),

without_dose as (
    select * from {{ ref('int_operator_procedure') }}
    where hp10_usv is null and procedure_type != 'unclassified'
),

thresholds as (
    select
        rule,
        to_days(cast(max(threshold_value) as integer)) as reference_period
    from {{ ref('int_alert_threshold') }}
    where name = 'reference_days'
    group by rule
),

shares as (
    select max(threshold_value) as min_c_arm_dose
    from {{ ref('int_alert_threshold') }}
    where rule = 'dose_to_c_arm' and name = 'min_c_arm_dose'
),

-- One row for each rule: what it compares of a procedure, where that is known.
indicators as (
    unpivot (
        select
            judged.site_id,
            judged.procedure_type,
            judged.role_group,
            judged.procedure_date,
            judged.hp10_usv as procedure_dose,
            judged.hp10_per_kap_usv_per_gy_cm2 as dose_per_kap,
            case
                when judged.c_arm_dose_usv >= shares.min_c_arm_dose then judged.hp10_to_c_arm_percent
            end as dose_to_c_arm,
            judged.hp10_usv as badge_not_worn
        from judged
        cross join shares
    )
    on procedure_dose, dose_per_kap, dose_to_c_arm, badge_not_worn
    into name rule value indicator
),

quartiles as (
    select distinct
        indicators.site_id,
        indicators.procedure_type,
        indicators.role_group,
        indicators.procedure_date,
        indicators.rule,
        quantile_cont(indicators.indicator, {{ var('class_quantile') }}) over days_before as quartile_value,
        median(indicators.indicator) over days_before as median_value,
        count(*) over days_before as n_reference
    from indicators
    inner join thresholds on indicators.rule = thresholds.rule
    window days_before as (
        partition by indicators.site_id, indicators.procedure_type, indicators.role_group, indicators.rule
        order by indicators.procedure_date
        range between {{ frame_bound('thresholds.reference_period') }} preceding and interval '1 day' preceding
    )
),

class_days as (
    select distinct
        without_dose.site_id,
        without_dose.procedure_type,
        without_dose.role_group,
        without_dose.procedure_date,
        thresholds.rule,
        thresholds.reference_period
    from without_dose
    cross join thresholds
),

-- Days on which a dose is missing are compared, too. They are few, and apart because a window counts its rows one by one
-- for each row as soon as one of them is NULL.
days_without_indicator as (
    select class_days.*
    from class_days
    anti join indicators
        on
            class_days.site_id = indicators.site_id
            and class_days.procedure_type = indicators.procedure_type
            and class_days.role_group = indicators.role_group
            and class_days.procedure_date = indicators.procedure_date
            and class_days.rule = indicators.rule
),

further_quartiles as (
    select
        days_without_indicator.site_id,
        days_without_indicator.procedure_type,
        days_without_indicator.role_group,
        days_without_indicator.procedure_date,
        days_without_indicator.rule,
        quantile_cont(indicators.indicator, {{ var('class_quantile') }}) as quartile_value,
        median(indicators.indicator) as median_value,
        count(*) as n_reference
    from days_without_indicator
    inner join indicators
        on
            days_without_indicator.site_id = indicators.site_id
            and days_without_indicator.procedure_type = indicators.procedure_type
            and days_without_indicator.role_group = indicators.role_group
            and days_without_indicator.rule = indicators.rule
            and days_without_indicator.procedure_date > indicators.procedure_date
            and days_without_indicator.procedure_date - days_without_indicator.reference_period
            <= indicators.procedure_date
    group by all
),

final as (
    select * from quartiles
    where n_reference > 0
    union all
    select * from further_quartiles
)

select * from final
