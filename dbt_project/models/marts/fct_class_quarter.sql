-- Medians and quartiles of a procedure class by role group and quarter, with the change against the same quarter a year before.
with statistics as (
    select * from {{ ref('int_class_quarter') }}
),

limits as (
    select
        max(threshold_value) filter (where name = 'limit') as limit_percent,
        max(threshold_value) filter (where name = 'min_reference') as min_reference
    from {{ ref('dim_alert_threshold') }}
    where rule = 'dose_to_c_arm'
),

student_t as (
    select * from {{ ref('int_student_t') }}
),

final as (
    select
        statistics.procedure_type,
        statistics.role_group,
        statistics.period_begin as quarter,
        statistics.quantity,
        statistics.n,
        statistics.n_operators,
        statistics.n_patients,
        statistics.q1,
        statistics.median,
        statistics.q3,
        exp(statistics.log_change) as change_vs_last_year,
        exp(statistics.log_change - coalesce(student_t.t_quantile, 0) * statistics.standard_error) as change_low,
        exp(statistics.log_change + coalesce(student_t.t_quantile, 0) * statistics.standard_error) as change_high,
        case
            when statistics.quantity = 'hp10_to_c_arm' and statistics.n >= limits.min_reference
                then statistics.median > limits.limit_percent
        end as is_above_limit
    from statistics
    cross join limits
    left join student_t on statistics.degrees_of_freedom = student_t.degrees_of_freedom
)

select * from final
