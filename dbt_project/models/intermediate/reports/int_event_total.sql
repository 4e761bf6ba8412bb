-- Sums over the events of a study in a room, by plane and quantity (contract, Totals 4 and 5).
with roles as (
    select * from {{ ref('int_report_role') }}
),

stated as (
    select * from {{ ref('stg_dose_total') }}
),

events as (
    select * from {{ ref('int_event') }}
),

-- One pass over the events: the steps below read one row per plane.
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

-- Some devices state one container for all planes, or tag the plane only in one of the two places: the events then count
-- for the container's plane, so that no dose is added twice. Air kerma of two planes keeps its planes.
container_planes as (
    select
        roles.study_key,
        roles.room_id,
        list(distinct stated.plane order by stated.plane) as planes
    from roles
    inner join stated on roles.load_seq = stated.load_seq
    where roles.report_role = 'stays'
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
        -- Breast dose without a side makes both sides unknown.
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

final as (
    select * from other_sums
    union all
    select * from air_kerma_sums
    union all
    -- One unknown duration makes the fluoroscopy time of its plane unknown, not shorter.
    select
        study_key,
        room_id,
        plane,
        'fluoro_time' as quantity,
        cast(null as decimal(28, 12)) as event_value
    from event_sums
    where fluoro_time is null
)

select * from final
