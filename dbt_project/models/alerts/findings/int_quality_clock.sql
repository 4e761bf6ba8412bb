-- What is wrong with the clocks of a room: a step, an interval of days of unknown offset, or an interval of days on
-- which the estimate contradicts what the site declared. A spell is one finding, on its first day.
with offsets as (
    select * from {{ ref('int_clock_offset') }}
),

estimates as (
    select * from {{ ref('int_clock_estimate') }}
    where is_own
),

thresholds as (
    select * from {{ ref('int_alert_threshold') }}
    where rule = 'data_quality'
),

steps as (
    select
        'clock_step' as threshold_name,
        room_id,
        offset_date as occurred_on,
        abs(step_s) as finding_value,
        format('The clock of room {} was moved by {:.1f} s.', room_id, step_s) as message
    from offsets
    where is_step
),

-- Days on which an unknown clock, or one that differs from its declaration, can be detected.
judged as (
    select
        'clock_unknown' as threshold_name,
        room_id,
        offset_date,
        cast(null as double) as gap_s,
        offset_method = 'none' as is_odd
    from offsets
    union all
    select
        thresholds.name as threshold_name,
        offsets.room_id,
        offsets.offset_date,
        cast(offsets.offset_s as double) - estimates.offset_s as gap_s,
        abs(cast(offsets.offset_s as double) - estimates.offset_s) > thresholds.threshold_value as is_odd
    from offsets
    inner join estimates
        on offsets.room_id = estimates.room_id and offsets.offset_date = estimates.offset_date
    inner join thresholds on thresholds.name = 'clock_contradiction'
    where offsets.offset_method = 'declared'
),

numbered as (
    select
        *,
        count(*) filter (where not is_odd) over (partition by threshold_name, room_id order by offset_date) as spell_no
    from judged
),

spells as (
    select
        threshold_name,
        room_id,
        min(offset_date) as occurred_on,
        max(offset_date) as last_date,
        arg_max(gap_s, abs(gap_s)) as gap_s
    from numbered
    where is_odd
    group by threshold_name, room_id, spell_no
),

final as (
    select * from steps
    union all by name
    select
        threshold_name,
        room_id,
        occurred_on,
        coalesce(abs(gap_s), cast(last_date - occurred_on + 1 as double)) as finding_value,
        case
            when gap_s is null
                then format('No clock offset is known for room {} from {} to {}.', room_id, occurred_on, last_date)
            else format(
                'The declared clock offset of room {} differs from the estimated one by {:.1f} s ({} to {}).',
                room_id,
                gap_s,
                occurred_on,
                last_date
            )
        end as message
    from spells
)

select * from final
