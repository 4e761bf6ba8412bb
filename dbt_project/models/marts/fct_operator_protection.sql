-- An operator's share of the C-arm dose against that usual for the same classes and role group, over many procedures.
with protections as (
    select * from {{ ref('int_operator_protection') }}
),

student_t as (
    select * from {{ ref('int_student_t') }}
),

thresholds as (
    select cast(max(value) filter (where name = 'min_protection_rows') as integer) as min_n
    from {{ ref('comparison_thresholds') }}
),

intervals as (
    select
        protections.operator_id,
        protections.role_group,
        protections.period,
        protections.period_begin,
        protections.period_end,
        protections.n,
        exp(protections.log_mean) as protection_ratio,
        student_t.t_quantile * protections.log_deviation / sqrt(protections.n) as half_width,
        exp(protections.log_mean - half_width) as ci_low,
        exp(protections.log_mean + half_width) as ci_high,
        cast(protections.hp10_usv as double) as hp10_usv
    from protections
    left join student_t on protections.degrees_of_freedom = student_t.degrees_of_freedom
),

judged as (
    select
        intervals.*,
        intervals.n >= thresholds.min_n and intervals.ci_low > 1 as is_above_usual
    from intervals
    cross join thresholds
),

final as (
    select
        operator_id,
        role_group,
        period,
        period_begin,
        period_end,
        n,
        protection_ratio,
        ci_low,
        ci_high,
        hp10_usv,
        case when is_above_usual then hp10_usv * (1 - 1 / protection_ratio) end as above_usual_usv,
        case when is_above_usual then hp10_usv * (1 - 1 / ci_low) end as above_usual_low_usv,
        case when is_above_usual then hp10_usv * (1 - 1 / ci_high) end as above_usual_high_usv
    from judged
)

select * from final
