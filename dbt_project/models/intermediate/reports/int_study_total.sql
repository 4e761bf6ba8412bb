-- One value per study, room, plane and quantity by the contract's Totals rule; KAP still as reported, not calibrated.
with roles as (
    select * from {{ ref('int_report_role') }}
),

stated as (
    select * from {{ ref('stg_dose_total') }}
),

sent_events as (
    select
        load_seq,
        irradiation_event_uid
    from {{ ref('int_sent_event') }}
),

events as (
    select * from {{ ref('int_event') }}
),

-- Reports with events that stay.
staying as (
    select * from roles
    where report_role = 'stays'
),

staying_in_room as (
    select
        study_key,
        room_id,
        count(*) as n_reports,
        bool_or(n_events_owned < n_events_sent) as has_lost_events
    from staying
    group by all
),

-- Only where several reports stay can two of them have sent an event.
event_reports as (
    select
        staying.study_key,
        staying.room_id,
        sent_events.irradiation_event_uid,
        count(distinct staying.load_seq) as n_reports
    from staying
    inner join staying_in_room
        on staying.study_key = staying_in_room.study_key and staying.room_id = staying_in_room.room_id
    inner join sent_events on staying.load_seq = sent_events.load_seq
    where staying_in_room.n_reports > 1
    group by all
),

shared_events as (
    select distinct
        study_key,
        room_id
    from event_reports
    where n_reports > 1
),

-- Planes are few where events are many: what follows asks no event again.
plane_sums as (
    select
        study_key,
        room_id,
        plane,
        count(*) filter (where event_type = 'fluoroscopy') as n_fluoro,
        count(*) filter (where event_type != 'fluoroscopy') as n_acquisitions,
        count(*) filter (where event_type = 'fluoroscopy' and duration_s is null) as n_fluoro_untimed,
        count(reported_kap_gy_cm2) as n_kap,
        sum(reported_kap_gy_cm2) as kap_gy_cm2,
        sum(reported_kap_gy_cm2) filter (where event_type = 'fluoroscopy') as kap_fluoro_gy_cm2,
        sum(reported_kap_gy_cm2) filter (where event_type != 'fluoroscopy') as kap_acquisition_gy_cm2,
        sum(duration_s) filter (where event_type = 'fluoroscopy') as fluoro_time_s,
        sum(ka_r_mgy) as ka_r_mgy,
        sum(dlp_mgy_cm) as dlp_mgy_cm,
        count(*) filter (where agd_mgy is not null and laterality is null) as n_agd_of_no_side,
        sum(agd_mgy) filter (where laterality = 'left') as agd_left_mgy,
        sum(agd_mgy) filter (where laterality = 'right') as agd_right_mgy
    from events
    group by study_key, room_id, plane
),

biplane_rooms as (
    select
        study_key,
        room_id
    from plane_sums
    group by all
    having min(plane) != max(plane)
),

-- An air kerma stated for both planes together is of no plane: it is not taken (Totals 5).
stated_by_stayers as (
    select
        staying.study_key,
        staying.room_id,
        stated.plane,
        stated.quantity,
        count(distinct staying.load_seq) as n_stating,
        sum(stated.total_value) as stated_sum
    from staying
    inner join stated on staying.load_seq = stated.load_seq
    left join biplane_rooms on staying.study_key = biplane_rooms.study_key and staying.room_id = biplane_rooms.room_id
    where not (stated.quantity like 'ka_r%' and stated.plane = 'single' and biplane_rooms.study_key is not null)
    group by all
),

accumulated as (
    select
        stated_by_stayers.study_key,
        stated_by_stayers.room_id,
        stated_by_stayers.plane,
        stated_by_stayers.quantity,
        stated_by_stayers.stated_sum as accumulated_value
    from stated_by_stayers
    inner join staying_in_room
        on
            stated_by_stayers.study_key = staying_in_room.study_key
            and stated_by_stayers.room_id = staying_in_room.room_id
    left join shared_events
        on
            stated_by_stayers.study_key = shared_events.study_key
            and stated_by_stayers.room_id = shared_events.room_id
    where
        stated_by_stayers.n_stating = staying_in_room.n_reports
        and not staying_in_room.has_lost_events
        and shared_events.study_key is null
),

-- Some devices state one container for all planes, or tag the plane only in one of the two places: the events then count
-- for the container's plane, so that nothing is added twice. Air kerma of two planes stays with them.
container_planes as (
    select
        staying.study_key,
        staying.room_id,
        list(distinct stated.plane order by stated.plane) as planes
    from staying
    inner join stated on staying.load_seq = stated.load_seq
    group by all
),

placed_sums as (
    select
        plane_sums.*,
        case
            when container_planes.planes is null then plane_sums.plane
            when list_contains(container_planes.planes, plane_sums.plane) then plane_sums.plane
            when (plane_sums.plane = 'single') = list_contains(container_planes.planes, 'single') then plane_sums.plane
            else container_planes.planes[1]
        end as total_plane,
        case when biplane_rooms.study_key is null then total_plane else plane_sums.plane end as air_kerma_plane
    from plane_sums
    left join container_planes
        on plane_sums.study_key = container_planes.study_key and plane_sums.room_id = container_planes.room_id
    left join biplane_rooms
        on plane_sums.study_key = biplane_rooms.study_key and plane_sums.room_id = biplane_rooms.room_id
),

air_kerma_sums as (
    select
        study_key,
        room_id,
        air_kerma_plane as plane,
        'ka_r' as quantity,
        cast(sum(ka_r_mgy) as decimal(28, 12)) as event_value
    from placed_sums
    where ka_r_mgy is not null
    group by all
),

event_sums as (
    select
        study_key,
        room_id,
        total_plane as plane,
        sum(kap_gy_cm2) as kap,
        case
            when sum(n_fluoro) > 0 then sum(kap_fluoro_gy_cm2)
            when sum(n_kap) > 0 then 0
        end as kap_fluoro,
        case
            when sum(n_acquisitions) > 0 then sum(kap_acquisition_gy_cm2)
            when sum(n_kap) > 0 then 0
        end as kap_acquisition,
        case when sum(n_fluoro_untimed) = 0 then coalesce(sum(fluoro_time_s), 0) end as fluoro_time,
        sum(dlp_mgy_cm) as dlp,
        -- Breast dose whose side is not said makes both sides unknown.
        case when sum(n_agd_of_no_side) = 0 then sum(agd_left_mgy) end as agd_left,
        case when sum(n_agd_of_no_side) = 0 then sum(agd_right_mgy) end as agd_right
    from placed_sums
    group by all
),

other_sums as (
    unpivot (
        select
            study_key,
            room_id,
            plane,
            cast(kap as decimal(28, 12)) as kap,
            cast(kap_fluoro as decimal(28, 12)) as kap_fluoro,
            cast(kap_acquisition as decimal(28, 12)) as kap_acquisition,
            cast(fluoro_time as decimal(28, 12)) as fluoro_time,
            cast(dlp as decimal(28, 12)) as dlp,
            cast(agd_left as decimal(28, 12)) as agd_left,
            cast(agd_right as decimal(28, 12)) as agd_right
        from event_sums
    )
    on kap, kap_fluoro, kap_acquisition, fluoro_time, dlp, agd_left, agd_right
    into name quantity value event_value
),

event_values as (
    select * from other_sums
    union all
    select * from air_kerma_sums
),

with_events as (
    select
        coalesce(accumulated.study_key, event_values.study_key) as study_key,
        coalesce(accumulated.room_id, event_values.room_id) as room_id,
        coalesce(accumulated.plane, event_values.plane) as plane,
        coalesce(accumulated.quantity, event_values.quantity) as quantity,
        coalesce(accumulated.accumulated_value, event_values.event_value) as total_value,
        case when accumulated.study_key is not null then 'accumulated' else 'events' end as total_source,
        event_values.event_value as event_sum_value
    from accumulated
    full outer join event_values
        on
            accumulated.study_key = event_values.study_key
            and accumulated.room_id = event_values.room_id
            and accumulated.plane = event_values.plane
            and accumulated.quantity = event_values.quantity
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

-- A plane whose fluoroscopy time nobody knows makes the sum over planes unknown: it must not be passed over.
unknown_times as (
    select
        event_sums.study_key,
        event_sums.room_id,
        event_sums.plane,
        'fluoro_time' as quantity,
        cast(null as decimal(28, 12)) as total_value,
        'events' as total_source,
        cast(null as decimal(28, 12)) as event_sum_value
    from event_sums
    left join accumulated
        on
            event_sums.study_key = accumulated.study_key
            and event_sums.room_id = accumulated.room_id
            and event_sums.plane = accumulated.plane
            and accumulated.quantity = 'fluoro_time'
    left join without_events
        on
            event_sums.study_key = without_events.study_key
            and event_sums.room_id = without_events.room_id
            and without_events.quantity = 'fluoro_time'
    where
        event_sums.fluoro_time is null
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
