-- One value per study, room, plane and quantity by the contract's Totals rule; KAP still as reported, not calibrated.
with roles as (
    select * from {{ ref('int_report_role') }}
),

stated as (
    select * from {{ ref('stg_dose_total') }}
),

accumulated as (
    select * from {{ ref('int_accumulated_total') }}
),

event_totals as (
    select * from {{ ref('int_event_total') }}
),

known_sums as (
    select * from event_totals
    where event_value is not null
),

with_events as (
    select
        coalesce(accumulated.study_key, known_sums.study_key) as study_key,
        coalesce(accumulated.room_id, known_sums.room_id) as room_id,
        coalesce(accumulated.plane, known_sums.plane) as plane,
        coalesce(accumulated.quantity, known_sums.quantity) as quantity,
        coalesce(accumulated.accumulated_value, known_sums.event_value) as total_value,
        case when accumulated.study_key is not null then 'accumulated' else 'events' end as total_source,
        known_sums.event_value as event_sum_value
    from accumulated
    full outer join known_sums
        on
            accumulated.study_key = known_sums.study_key
            and accumulated.room_id = known_sums.room_id
            and accumulated.plane = known_sums.plane
            and accumulated.quantity = known_sums.quantity
),

-- Rule 2: a report without events counts only where no report with events gives that quantity; of several the latest.
without_events as (
    select
        roles.study_key,
        roles.room_id,
        stated.plane,
        stated.quantity,
        stated.total_value,
        'accumulated' as total_source,
        cast(null as decimal(28, 12)) as event_sum_value
    from roles
    inner join stated on roles.load_seq = stated.load_seq
    left join with_events
        on
            roles.study_key = with_events.study_key
            and roles.room_id = with_events.room_id
            and stated.quantity = with_events.quantity
    where roles.report_role = 'without_events' and with_events.study_key is null
    qualify rank() over (
        partition by roles.study_key, roles.room_id, stated.quantity order by roles.version_rank desc
    ) = 1
),

-- A plane of unknown fluoroscopy time makes the sum over planes unknown: it needs a row.
unknown_times as (
    select
        event_totals.study_key,
        event_totals.room_id,
        event_totals.plane,
        event_totals.quantity,
        event_totals.event_value as total_value,
        'events' as total_source,
        event_totals.event_value as event_sum_value
    from event_totals
    left join accumulated
        on
            event_totals.study_key = accumulated.study_key
            and event_totals.room_id = accumulated.room_id
            and event_totals.plane = accumulated.plane
            and event_totals.quantity = accumulated.quantity
    left join without_events
        on
            event_totals.study_key = without_events.study_key
            and event_totals.room_id = without_events.room_id
            and event_totals.quantity = without_events.quantity
    where
        event_totals.event_value is null
        and accumulated.study_key is null
        and without_events.study_key is null
),

final as (
    select * from with_events
    union all
    select * from without_events
    union all
    select * from unknown_times
)

select * from final
