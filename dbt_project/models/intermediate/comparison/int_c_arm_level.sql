-- The C-arm badge's dose per KAP of a room, one row per procedure: median of the last procedures against the median of the days
-- before them. It is a constant of the room, as long as badge, meter and technique stay.
with procedures as (
    select * from {{ ref('int_procedure') }}
    where room_id != 'unknown'
),

c_arm_doses as (
    select * from {{ ref('int_c_arm_dose') }}
),

thresholds as (
    select
        max(threshold_value) filter (where name = 'c_arm_drift') as drift_percent,
        cast(max(threshold_value) filter (where name = 'c_arm_recent') as integer) as n_recent,
        to_days(
            cast(max(threshold_value) filter (where name = 'c_arm_reference_days') as integer)
        ) as reference_period,
        max(threshold_value) filter (where name = 'c_arm_min_reference') as min_reference,
        max(threshold_value) filter (where name = 'c_arm_min_kap') as min_kap
    from {{ ref('int_rule_threshold') }}
    where rule = 'data_quality'
),

ratios as (
    select
        procedures.room_id,
        procedures.procedure_id,
        procedures.procedure_date,
        procedures.started_at,
        cast(c_arm_doses.c_arm_dose_usv as double) / cast(procedures.kap_gy_cm2 as double) as ratio
    from procedures
    inner join c_arm_doses on procedures.procedure_id = c_arm_doses.procedure_id
    cross join thresholds
    where procedures.kap_gy_cm2 >= thresholds.min_kap
),

recent as (
    select
        ratios.room_id,
        ratios.procedure_date,
        row_number() over last_procedures as procedure_no,
        count(*) over last_procedures as n_recent,
        min(ratios.procedure_date) over last_procedures as first_date,
        quantile_cont(ratios.ratio, 0.5) over last_procedures as recent_median
    from ratios
    cross join thresholds
    window last_procedures as (
        partition by ratios.room_id
        order by ratios.procedure_date, ratios.started_at, ratios.procedure_id
        rows between {{ frame_bound('thresholds.n_recent - 1') }} preceding and current row
    )
),

-- The same for all procedures of a room and date.
reference as (
    select distinct
        ratios.room_id,
        ratios.procedure_date,
        count(*) over days_before as n_reference,
        quantile_cont(ratios.ratio, 0.5) over days_before as reference_median
    from ratios
    cross join thresholds
    window days_before as (
        partition by ratios.room_id
        order by ratios.procedure_date
        range between {{ frame_bound('thresholds.reference_period') }} preceding and interval '1 day' preceding
    )
),

final as (
    select
        recent.room_id,
        recent.procedure_date,
        recent.procedure_no,
        recent.first_date,
        recent.recent_median,
        reference.reference_median,
        reference.n_reference,
        100 * abs(recent.recent_median / nullif(reference.reference_median, 0) - 1) as difference_percent,
        coalesce(difference_percent > thresholds.drift_percent, false) as is_outside
    from recent
    cross join thresholds
    inner join reference on recent.room_id = reference.room_id and recent.first_date = reference.procedure_date
    where recent.n_recent = thresholds.n_recent and reference.n_reference >= thresholds.min_reference
)

select * from final
