-- Rooms whose C-arm badge was moved: its dose per KAP stayed outside the tolerance for as many procedures as the median of the
-- last procedures is made of. From then on a share of its dose depends on the badge and not on the people, until the
-- reference set has no procedure of before.
with levels as (
    select * from {{ ref('int_c_arm_level') }}
),

thresholds as (
    select
        (
            select max(threshold_value)
            from {{ ref('int_rule_threshold') }}
            where rule = 'data_quality' and name = 'c_arm_recent'
        ) as n_recent,
        (
            select to_days(cast(max(value) as integer))
            from {{ ref('comparison_thresholds') }}
            where name = 'reference_days'
        ) as reference_period
),

outside as (
    select
        room_id,
        procedure_no,
        first_date,
        procedure_no - row_number() over (partition by room_id order by procedure_no) as run_no
    from levels
    where is_outside
),

runs as (
    select
        room_id,
        run_no,
        min(first_date) as first_date,
        count(*) as n_procedures
    from outside
    group by room_id, run_no
),

final as (
    select
        runs.room_id,
        runs.first_date as from_date,
        cast(runs.first_date + thresholds.reference_period as date) as to_date
    from runs
    inner join thresholds on runs.n_procedures >= thresholds.n_recent
)

select * from final
