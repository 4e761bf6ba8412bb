-- Whose dose it is: the badge's assignment on the local day, unless a correction says otherwise.
{{ config(**kept_by('measured_date', 'int_dose_day')) }}
with doses as (
    select * from {{ ref('int_dose') }}
    where measured_date <= {{ as_of() }} and {{ is_made_now('measured_date', 'measured_date', 'int_dose_day') }}
),

assignments as (
    select * from {{ ref('stg_badge_assignment') }}
),

badge_overlaps as (
    select * from {{ ref('stg_badge_overlap') }}
),

corrections as (
    select * from {{ ref('stg_correction') }}
),

badge_days as (
    select distinct
        dosimeter_serial,
        measured_date
    from doses
),

worn as (
    select
        badge_days.dosimeter_serial,
        badge_days.measured_date,
        assignments.worn_at,
        assignments.operator_id,
        case when assignments.worn_at = 'c_arm' then assignments.room_id end as c_arm_room_id
    from badge_days
    inner join assignments
        on
            badge_days.dosimeter_serial = assignments.dosimeter_serial
            and badge_days.measured_date >= assignments.valid_from_date
            and badge_days.measured_date <= coalesce(assignments.valid_to_date, date '9999-12-31')
    left join badge_overlaps
        on
            badge_days.dosimeter_serial = badge_overlaps.dosimeter_serial
            and badge_days.measured_date >= badge_overlaps.from_date
            and badge_days.measured_date <= coalesce(badge_overlaps.to_date, date '9999-12-31')
    where badge_overlaps.dosimeter_serial is null
    qualify row_number() over (
        partition by badge_days.dosimeter_serial, badge_days.measured_date order by assignments.valid_from_date desc
    ) = 1
),

-- A correction holds for records that lie wholly within it; the later line wins. A passive result ends at midnight, which
-- people write as 23:59.
corrected as (
    select
        doses.dose_key,
        corrections.kind,
        corrections.operator_id
    from doses
    inner join corrections
        on
            doses.dosimeter_serial = corrections.dosimeter_serial
            and doses.started_at >= corrections.from_at
            and coalesce(doses.ended_at, doses.started_at) - to_minutes(cast(doses.layout = 'badge_periods' as integer))
            <= corrections.to_at
    qualify row_number() over (partition by doses.dose_key order by corrections.line desc) = 1
),

final as (
    select
        doses.*,
        worn.worn_at,
        worn.c_arm_room_id,
        case when corrected.kind = 'worn_by' then corrected.operator_id else worn.operator_id end as operator_id,
        coalesce(corrected.kind = 'not_occupational', false) as is_not_occupational,
        worn.worn_at is not null as is_assigned
    from doses
    left join worn
        on doses.dosimeter_serial = worn.dosimeter_serial and doses.measured_date = worn.measured_date
    left join corrected on doses.dose_key = corrected.dose_key
)

select * from final
