-- Logarithms of an operator's protection factors over the 12 months to as_of and over each quarter: number, mean and deviation.
-- Not of rooms whose C-arm badge was moved: the share of its dose would be the badge's, not the operator's.
with all_factors as (
    select * from {{ ref('int_dose_factor') }}
),

moved_badges as (
    select * from {{ ref('int_moved_c_arm_badge') }}
),

factors as (
    select all_factors.*
    from all_factors
    anti join moved_badges
        on
            all_factors.room_id = moved_badges.room_id
            and all_factors.procedure_date >= moved_badges.from_date
            and all_factors.procedure_date < moved_badges.to_date
),

rolling as (
    select
        *,
        'rolling_12_months' as period,
        cast({{ as_of() }} - interval '1 year' as date) + 1 as period_begin,
        {{ as_of() }} as period_end
    from factors
    where procedure_date >= period_begin
),

quarters as (
    select
        *,
        'quarter' as period,
        cast(date_trunc('quarter', procedure_date) as date) as period_begin,
        least(cast(date_add(date_trunc('quarter', procedure_date), interval '3 months') as date) - 1, {{ as_of() }})
            as period_end
    from factors
),

periods as (
    select * from rolling
    union all
    select * from quarters
),

final as (
    select
        operator_id,
        role_group,
        period,
        period_begin,
        period_end,
        count(*) as n,
        avg(log_protection_factor order by procedure_id) as log_mean,
        stddev_samp(log_protection_factor order by procedure_id) as log_deviation,
        cast(n - 1 as double) as degrees_of_freedom,
        {{ dose_sum('hp10_usv') }} as hp10_usv
    from periods
    group by operator_id, role_group, period, period_begin, period_end
)

select * from final
