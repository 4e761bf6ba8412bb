-- Totals that the reports of a study in a room state, where these count: every report states the quantity, and the events of the
-- reports are disjoint and all of this study (contract, Totals 1 and 6).
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

-- Reports that count together with their events.
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

-- Two reports can have sent the same event only where several count.
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

biplane_rooms as (
    select
        study_key,
        room_id
    from events
    group by study_key, room_id
    having min(plane) != max(plane)
),

-- An air kerma stated for both planes together belongs to no plane and does not count (Totals 5).
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

final as (
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
)

select * from final
