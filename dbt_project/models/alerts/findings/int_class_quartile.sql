-- For every procedure class and date with procedures: the class quartiles of the 365 days before, and how many rows they
-- rest on (contract, Quartiles). One row speaks for a procedure: its first operator's, else its highest.
with operator_procedures as (
    select * from {{ ref('fct_operator_procedure') }}
    where hp10_usv is not null
),

procedures as (
    select * from {{ ref('fct_procedure') }}
    where procedure_type != 'unclassified'
),

thresholds as (
    select
        rule,
        to_days(cast(max(threshold_value) as integer)) as reference_period
    from {{ ref('int_alert_threshold') }}
    where name = 'reference_days'
    group by rule
),

speaking as (
    select
        procedures.site_id,
        procedures.procedure_type,
        procedures.procedure_date,
        operator_procedures.hp10_usv,
        operator_procedures.hp10_per_kap_usv_per_gy_cm2
    from operator_procedures
    inner join procedures on operator_procedures.procedure_id = procedures.procedure_id
    qualify
        -- Rank 1: every first operator, or without one the row that is highest.
        rank() over (
            partition by operator_procedures.procedure_id
            order by
                coalesce(operator_procedures.role, '') != 'first_operator',
                case when operator_procedures.role = 'first_operator' then 0 else -operator_procedures.hp10_usv end,
                case when operator_procedures.role = 'first_operator' then '' else operator_procedures.operator_id end
        ) = 1
),

indicators as (
    unpivot (
        select
            site_id,
            procedure_type,
            procedure_date,
            hp10_usv as procedure_dose,
            hp10_per_kap_usv_per_gy_cm2 as dose_per_kap,
            hp10_usv as badge_not_worn
        from speaking
    )
    on procedure_dose, dose_per_kap, badge_not_worn
    into name rule value indicator
),

quartiles as (
    select distinct
        indicators.site_id,
        indicators.procedure_type,
        indicators.procedure_date,
        indicators.rule,
        quantile_cont(indicators.indicator, {{ var('class_quantile') }}) over days_before as quartile_value,
        median(indicators.indicator) over days_before as median_value,
        count(*) over days_before as n_reference
    from indicators
    inner join thresholds on indicators.rule = thresholds.rule
    window days_before as (
        partition by indicators.site_id, indicators.procedure_type, indicators.rule
        order by indicators.procedure_date
        range between {{ frame_bound('thresholds.reference_period') }} preceding and interval '1 day' preceding
    )
),

class_days as (
    select distinct
        procedures.site_id,
        procedures.procedure_type,
        procedures.procedure_date,
        thresholds.rule,
        thresholds.reference_period
    from procedures
    cross join thresholds
),

-- Days with procedures of which nothing is known are asked about, too. They are few, and stand apart because a window counts
-- its rows one by one for each row as soon as one of them is NULL.
silent_days as (
    select class_days.*
    from class_days
    anti join indicators
        on
            class_days.site_id = indicators.site_id
            and class_days.procedure_type = indicators.procedure_type
            and class_days.procedure_date = indicators.procedure_date
            and class_days.rule = indicators.rule
),

silent_quartiles as (
    select
        silent_days.site_id,
        silent_days.procedure_type,
        silent_days.procedure_date,
        silent_days.rule,
        quantile_cont(indicators.indicator, {{ var('class_quantile') }}) as quartile_value,
        median(indicators.indicator) as median_value,
        count(*) as n_reference
    from silent_days
    inner join indicators
        on
            silent_days.site_id = indicators.site_id
            and silent_days.procedure_type = indicators.procedure_type
            and silent_days.rule = indicators.rule
            and silent_days.procedure_date > indicators.procedure_date
            and silent_days.procedure_date - silent_days.reference_period <= indicators.procedure_date
    group by all
),

final as (
    select * from quartiles
    where n_reference > 0
    union all
    select * from silent_quartiles
)

select * from final
