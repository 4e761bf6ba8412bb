-- Medians and quartiles of a room by role group and month, with the change against the same month a year before.
with statistics as (
    select * from {{ ref('int_room_month') }}
),

student_t as (
    select * from {{ ref('int_student_t') }}
),

final as (
    select
        statistics.room_id,
        statistics.role_group,
        statistics.period_begin as month,
        statistics.quantity,
        statistics.n,
        statistics.n_operators,
        statistics.n_patients,
        statistics.q1,
        statistics.median,
        statistics.q3,
        exp(statistics.log_change) as change_vs_last_year,
        exp(statistics.log_change - coalesce(student_t.t_quantile, 0) * statistics.standard_error) as change_low,
        exp(statistics.log_change + coalesce(student_t.t_quantile, 0) * statistics.standard_error) as change_high
    from statistics
    left join student_t on statistics.degrees_of_freedom = student_t.degrees_of_freedom
)

select * from final
