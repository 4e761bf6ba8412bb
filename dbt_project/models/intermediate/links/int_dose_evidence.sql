-- Each dose with all that decides where it may belong: the receiving hub's room, the clock that its times follow, and the
-- reason that keeps it from being linked at all, if there is one.
{{ config(**kept_by('measured_date', 'int_dose_day')) }}
with doses as (
    select * from {{ ref('int_dose_wearer') }}
    where {{ is_made_now('measured_date', 'measured_date', 'int_dose_day') }}
),

hubs as (
    select * from {{ ref('stg_source_hub') }}
),

source_offsets as (
    select * from {{ ref('stg_clock_declaration') }}
    where source_id is not null and room_id is null
),

declared as (
    select
        doses.dose_key,
        source_offsets.offset_s
    from doses
    inner join source_offsets
        on
            doses.source_id = source_offsets.source_id
            and doses.measured_date >= source_offsets.valid_from_date
            and doses.measured_date <= coalesce(source_offsets.valid_to_date, date '9999-12-31')
    qualify row_number() over (partition by doses.dose_key order by source_offsets.valid_from_date desc) = 1
),

judged as (
    select
        doses.* exclude (started_at, ended_at),
        doses.started_at as recorded_started_at,
        doses.ended_at as recorded_ended_at,
        {{ moved_by('doses.started_at', '-coalesce(declared.offset_s, 0)') }} as started_at,
        {{ moved_by('doses.ended_at', '-coalesce(declared.offset_s, 0)') }} as ended_at,
        case
            when declared.dose_key is not null then 'source'
            -- Readers without hubs have a clock of their own, which only a declaration can correct.
            when doses.layout in ('sessions', 'counter_log') and not doses.source_has_hubs then 'source'
            else 'room'
        end as clock_basis,
        coalesce(doses.c_arm_room_id, hubs.room_id) as evident_room_id,
        case
            when doses.token = 'below_detection' then 'below_detection'
            when doses.layout = 'badge_periods' then 'passive_period'
            when doses.is_not_occupational then 'not_occupational'
            when doses.is_ambiguous then 'inside_dst_fold'
            when not doses.is_assigned then 'unassigned_badge'
            when doses.layout = 'rate_samples' and doses.hub is not null and hubs.room_id is null then 'room_unknown'
        end as barred_reason
    from doses
    left join hubs on doses.source_id = hubs.source_id and doses.hub = hubs.hub
    left join declared on doses.dose_key = declared.dose_key
),

-- All that decides in which rooms a rate sample may be, and what it may touch there: samples are linked by group.
final as (
    select
        *,
        case
            when layout = 'rate_samples' and barred_reason is null
                then hash(
                    dosimeter_serial,
                    operator_id,
                    measured_date,
                    evident_room_id,
                    clock_basis,
                    epoch_us(ended_at) - epoch_us(started_at)
                )
        end as sample_group
    from judged
)

select * from final
