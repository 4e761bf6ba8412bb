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
        max(threshold_value) as reference_days
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

class_days as (
    select distinct
        site_id,
        procedure_type,
        procedure_date
    from procedures
),

final as (
    select
        class_days.site_id,
        class_days.procedure_type,
        class_days.procedure_date,
        indicators.rule,
        quantile_cont(indicators.indicator, {{ var('class_quantile') }}) as quartile_value,
        median(indicators.indicator) as median_value,
        count(*) as n_reference
    from class_days
    inner join indicators
        on class_days.site_id = indicators.site_id and class_days.procedure_type = indicators.procedure_type
    inner join thresholds
        on
            indicators.rule = thresholds.rule
            and indicators.procedure_date
            between class_days.procedure_date - cast(thresholds.reference_days as integer)
            and class_days.procedure_date - 1
    group by class_days.site_id, class_days.procedure_type, class_days.procedure_date, indicators.rule
)

select * from final
