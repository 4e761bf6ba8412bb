-- Each dose that counts with whose it is and all that decides where it may belong: the badge's assignment on the local day
-- unless a correction says otherwise, the receiving hub's room, the clock that its times follow, and the reason that excludes it
-- from being linked at all, if there is one. One model, because each copy of all records costs a first night seconds.
{{ config(**incremental_by_date('measured_date', 'int_dose_day')) }}
with doses as not materialized (
    select
        * exclude (started_at, ended_at, site_timezone),
        started_at as recorded_started_at,
        ended_at as recorded_ended_at
    from {{ ref('int_dose') }}
    where {{ is_in_batch('measured_date') }}
),

assignments as (
    select * from {{ ref('stg_badge_assignment') }}
),

badge_overlaps as (
    select * from {{ ref('stg_badge_overlap') }}
),

unclear_badges as (
    select * from {{ ref('int_unclear_badge') }}
),

unclear_doses as (
    select * from {{ ref('int_unclear_dose') }}
),

corrections as (
    select * from {{ ref('stg_correction') }}
),

manual_links as (
    select * from {{ ref('int_manual_link') }}
    where procedure_id is not null
),

hubs as (
    select * from {{ ref('stg_source_hub') }}
),

source_offsets as (
    select * from {{ ref('stg_clock_declaration') }}
    where source_id is not null and room_id is null
),

badge_days as (
    select distinct
        dosimeter_serial,
        source_id,
        measured_date
    from doses
),

assigned as (
    select
        badge_days.dosimeter_serial,
        badge_days.source_id,
        badge_days.measured_date,
        assignments.valid_from_date,
        assignments.source_ids,
        assignments.worn_at,
        assignments.operator_id,
        case when assignments.worn_at = 'c_arm' then assignments.room_id end as c_arm_room_id
    from badge_days
    inner join assignments
        on
            badge_days.dosimeter_serial = assignments.dosimeter_serial
            and {{ is_valid_on('assignments', 'badge_days.measured_date') }}
            and {{ holds_in('badge_days.source_id', 'assignments.source_ids') }}
),

-- One serial may be several badges, distinguished by the sources of their assignments.
badges as (
    select
        dosimeter_serial,
        source_id,
        measured_date,
        min(source_ids) as source_ids
    from assigned
    group by dosimeter_serial, source_id, measured_date
),

worn as (
    select assigned.*
    from assigned
    left join badge_overlaps
        on
            assigned.dosimeter_serial = badge_overlaps.dosimeter_serial
            and assigned.source_id = coalesce(badge_overlaps.source_id, assigned.source_id)
            and {{ is_valid_on('badge_overlaps', 'assigned.measured_date', prefix='') }}
    left join unclear_badges
        on
            assigned.dosimeter_serial = unclear_badges.dosimeter_serial
            and assigned.source_id = unclear_badges.source_id
            and assigned.measured_date = unclear_badges.measured_date
    where badge_overlaps.dosimeter_serial is null and unclear_badges.dosimeter_serial is null
    qualify row_number() over (
        partition by assigned.dosimeter_serial, assigned.source_id, assigned.measured_date
        order by assigned.valid_from_date desc
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
            and doses.recorded_started_at >= corrections.from_at
            and coalesce(doses.recorded_ended_at, doses.recorded_started_at)
            - to_minutes(cast(doses.layout = 'badge_periods' as integer))
            <= corrections.to_at
    qualify row_number() over (partition by doses.dose_key order by corrections.line desc) = 1
),

-- Only records that lie wholly within the span of a link by hand.
linked_by_hand as (
    select
        doses.dose_key,
        manual_links.procedure_id
    from doses
    inner join manual_links
        on
            doses.dosimeter_serial = manual_links.dosimeter_serial
            and doses.recorded_started_at >= manual_links.from_at
            and coalesce(doses.recorded_ended_at, doses.recorded_started_at) <= manual_links.to_at
    qualify row_number() over (partition by doses.dose_key order by manual_links.line) = 1
),

source_days as (
    select distinct
        source_id,
        measured_date
    from doses
),

declared as (
    select
        source_days.source_id,
        source_days.measured_date,
        source_offsets.offset_s
    from source_days
    inner join source_offsets
        on
            source_days.source_id = source_offsets.source_id
            and {{ is_valid_on('source_offsets', 'source_days.measured_date') }}
    qualify row_number() over (
        partition by source_days.source_id, source_days.measured_date order by source_offsets.valid_from_date desc
    ) = 1
),

-- Rooms of a measurement that several hubs received.
received as (
    select
        each_hub.dose_key,
        list(distinct hubs.room_id order by hubs.room_id) as room_ids
    from (
        select
            dose_key,
            source_id,
            unnest(list_append(other_hubs, hub)) as hub
        from doses
        where other_hubs is not null
    ) as each_hub
    inner join hubs on each_hub.source_id = hubs.source_id and each_hub.hub = hubs.hub
    group by each_hub.dose_key
),

wearers as (
    select
        doses.*,
        {{ badge_key('doses.dosimeter_serial', 'badges.source_ids') }} as badge_key,
        worn.worn_at,
        worn.c_arm_room_id,
        case when corrected.kind = 'worn_by' then corrected.operator_id else worn.operator_id end as operator_id,
        coalesce(corrected.kind = 'not_occupational', false) as is_not_occupational,
        worn.worn_at is not null as is_assigned
    from doses
    left join badges
        on
            doses.dosimeter_serial = badges.dosimeter_serial
            and doses.source_id = badges.source_id
            and doses.measured_date = badges.measured_date
    left join unclear_doses on doses.dose_key = unclear_doses.dose_key
    left join worn
        on
            case when unclear_doses.dose_key is null then doses.dosimeter_serial end = worn.dosimeter_serial
            and doses.source_id = worn.source_id
            and doses.measured_date = worn.measured_date
    left join corrected on doses.dose_key = corrected.dose_key
),

judged as (
    select
        wearers.*,
        {{ moved_by('wearers.recorded_started_at', '-coalesce(declared.offset_s, 0)') }} as started_at,
        {{ moved_by('wearers.recorded_ended_at', '-coalesce(declared.offset_s, 0)') }} as ended_at,
        case
            when declared.source_id is not null then 'source'
            -- Readers without hubs have a clock of their own, which only a declaration can correct.
            when wearers.layout in ('sessions', 'counter_log') and not wearers.source_has_hubs then 'source'
            else 'room'
        end as clock_basis,
        case
            when wearers.c_arm_room_id is not null then wearers.c_arm_room_id
            when received.room_ids[2] is null then coalesce(received.room_ids[1], hubs.room_id)
        end as evident_room_id,
        case
            when wearers.c_arm_room_id is null and received.room_ids[2] is not null then received.room_ids
        end as evident_room_ids,
        case
            when wearers.token = 'below_detection' then 'below_detection'
            when wearers.layout = 'badge_periods' then 'passive_period'
            when wearers.is_not_occupational then 'not_occupational'
            when wearers.is_ambiguous then 'inside_dst_fold'
            when not wearers.is_assigned then 'unassigned_badge'
            when
                wearers.layout = 'rate_samples'
                and coalesce(wearers.hub, wearers.other_hubs[1]) is not null
                and coalesce(received.room_ids[1], hubs.room_id) is null
                then 'room_unknown'
        end as found_reason,
        linked_by_hand.procedure_id as named_procedure_id
    from wearers
    left join hubs on wearers.source_id = hubs.source_id and wearers.hub = hubs.hub
    left join received on wearers.dose_key = received.dose_key
    left join declared on wearers.source_id = declared.source_id and wearers.measured_date = declared.measured_date
    left join linked_by_hand on wearers.dose_key = linked_by_hand.dose_key
),

-- A link by hand wins over evidence of where a dose belongs, not over whose it is.
decided as (
    select
        * exclude (found_reason, named_procedure_id),
        case
            when is_assigned and coalesce(found_reason in ('room_unknown', 'inside_dst_fold'), true)
                then named_procedure_id
        end as manual_procedure_id,
        case when manual_procedure_id is null then found_reason end as excluded_reason
    from judged
),

-- All that decides in which rooms a rate sample may be, and what it may touch there: samples are linked by group.
final as (
    select
        *,
        case
            when layout = 'rate_samples' and excluded_reason is null and manual_procedure_id is null
                then hash(
                    badge_key,
                    operator_id,
                    measured_date,
                    evident_room_id,
                    evident_room_ids,
                    clock_basis,
                    epoch_us(ended_at) - epoch_us(started_at)
                )
        end as sample_group
    from decided
)

select * from final
