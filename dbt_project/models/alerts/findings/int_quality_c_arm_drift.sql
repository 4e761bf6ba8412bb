-- The C-arm badge's dose per KAP of a room: median of the last procedures against the median of the days before them. It is
-- a constant of the room; a finding is the procedure at which it leaves the tolerance.
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
        max(threshold_value) filter (where name = 'c_arm_recent') as n_recent,
        max(threshold_value) filter (where name = 'c_arm_reference_days') as reference_days,
        max(threshold_value) filter (where name = 'c_arm_min_reference') as min_reference,
        max(threshold_value) filter (where name = 'c_arm_min_kap') as min_kap
    from {{ ref('int_alert_threshold') }}
    where rule = 'data_quality'
),

ratios as (
    select
        procedures.room_id,
        procedures.procedure_id,
        procedures.procedure_date,
        cast(c_arm_doses.c_arm_dose_usv as double) / cast(procedures.kap_gy_cm2 as double) as ratio,
        row_number() over (
            partition by procedures.room_id
            order by procedures.procedure_date, procedures.started_at, procedures.procedure_id
        ) as procedure_no
    from procedures
    inner join c_arm_doses on procedures.procedure_id = c_arm_doses.procedure_id
    cross join thresholds
    where procedures.kap_gy_cm2 >= thresholds.min_kap
),

recent as (
    select
        ratios.room_id,
        ratios.procedure_no,
        ratios.procedure_date,
        min(earlier.procedure_date) as first_date,
        quantile_cont(earlier.ratio, 0.5) as recent_median,
        count(*) as n_recent
    from ratios
    cross join thresholds
    inner join ratios as earlier
        on
            ratios.room_id = earlier.room_id
            and ratios.procedure_no >= earlier.procedure_no
            and ratios.procedure_no - thresholds.n_recent < earlier.procedure_no
    group by ratios.room_id, ratios.procedure_no, ratios.procedure_date
),

compared as (
    select
        recent.room_id,
        recent.procedure_no,
        recent.procedure_date,
        recent.recent_median,
        quantile_cont(earlier.ratio, 0.5) as reference_median,
        count(*) as n_reference,
        100 * abs(recent.recent_median / nullif(reference_median, 0) - 1) as finding_value
    from recent
    cross join thresholds
    inner join ratios as earlier
        on
            recent.room_id = earlier.room_id
            and recent.n_recent = thresholds.n_recent
            and recent.first_date > earlier.procedure_date
            and recent.first_date - cast(thresholds.reference_days as integer) <= earlier.procedure_date
    group by recent.room_id, recent.procedure_no, recent.procedure_date, recent.recent_median, thresholds.min_reference
    having count(*) >= thresholds.min_reference
),

outside as (
    select compared.*
    from compared
    inner join thresholds on compared.finding_value > thresholds.drift_percent
),

-- Not again while it stays outside.
left_tolerance as (
    select *
    from outside
    qualify procedure_no is distinct from lag(procedure_no) over (partition by room_id order by procedure_no) + 1
),

final as (
    select
        'c_arm_drift' as threshold_name,
        room_id,
        procedure_date as occurred_on,
        max(finding_value) as finding_value,
        arg_max(n_reference, finding_value) as n_reference,
        format(
            'The C-arm badge of room {} shows {:.3g} µSv per Gy·cm² in the last procedures, {:.3g} before (n = {}).',
            room_id,
            arg_max(recent_median, finding_value),
            arg_max(reference_median, finding_value),
            arg_max(n_reference, finding_value)
        ) as message
    from left_tolerance
    group by room_id, procedure_date
)

select * from final
