-- Where each rate sample belongs: beam-on of exactly one allowed room, else the window of exactly one procedure, else a
-- reason with the candidates (contract, linking rules 1 to 3). Never split, never the nearest room.
-- Tens of millions of samples meet a room's timeline, cut once wherever something begins or ends to be touched: each finds
-- its stretch in one look. Times are whole microseconds, ids numbers: both cost a tenth of instants and text here.
{% set minute_us = 60000000 %}
with samples as not materialized (
    select
        dose_key,
        dosimeter_serial,
        operator_id,
        measured_date,
        evident_room_id,
        clock_basis,
        epoch_us(started_at) as started_us,
        epoch_us(ended_at) - epoch_us(started_at) as length_us
    from {{ ref('int_dose_evidence') }}
    where layout = 'rate_samples' and barred_reason is null
),

sample_rooms as (
    select
        *,
        max(n_rooms) over (partition by dosimeter_serial) > 1 as is_badge_in_doubt,
        dense_rank() over (order by room_id, clock_basis, length_us) as timeline_no
    from {{ ref('int_sample_room') }}
),

beam_on as (
    select * from {{ ref('int_beam_on') }}
),

procedure_clocks as (
    select * from {{ ref('int_procedure_clock') }}
),

procedures as (
    select distinct
        procedure_no,
        procedure_id
    from procedure_clocks
),

timelines as (
    select distinct
        timeline_no,
        room_id,
        clock_basis,
        length_us
    from sample_rooms
),

-- A sample touches what lasts from a to b if it begins before b and after a less its own length.
touchable as (
    select
        timelines.timeline_no,
        epoch_us(beam_on.started_at)
        - cast(({{ var('event_tolerance_s') }} + beam_on.uncertainty_s) * 1000000 as bigint)
        - timelines.length_us + 1 as from_us,
        epoch_us(beam_on.ended_at)
        + cast(({{ var('event_tolerance_s') }} + beam_on.uncertainty_s) * 1000000 as bigint) as to_us,
        1 as n_events,
        beam_on.event_no,
        beam_on.procedure_no as event_procedure_no,
        struct_pack(
            started_us := epoch_us(beam_on.started_at),
            ended_us := epoch_us(beam_on.ended_at),
            is_plane_b := coalesce(beam_on.plane = 'B', false),
            event_no := beam_on.event_no,
            procedure_no := beam_on.procedure_no
        ) as hit,
        0 as n_windows,
        0 as window_procedure_no,
        cast(null as varchar) as window_procedure_id,
        0 as n_unknown
    from beam_on
    inner join timelines on beam_on.room_id = timelines.room_id and beam_on.clock_basis = timelines.clock_basis
    union all
    select
        timelines.timeline_no,
        epoch_us(procedure_clocks.started_at)
        - {{ var('window_margin_s') }} * 1000000
        - timelines.length_us + 1 as from_us,
        epoch_us(procedure_clocks.ended_at) + {{ var('window_margin_s') }} * 1000000 as to_us,
        0 as n_events,
        0 as event_no,
        0 as event_procedure_no,
        null as hit,
        1 as n_windows,
        procedure_clocks.procedure_no as window_procedure_no,
        procedure_clocks.procedure_id as window_procedure_id,
        -- Without a clock for so long a window may well be another procedure's (contract, linking rule 6).
        cast(procedure_clocks.unknown_days >= {{ var('clock_unknown_days') }} as integer) as n_unknown
    from procedure_clocks
    inner join timelines
        on procedure_clocks.room_id = timelines.room_id and procedure_clocks.clock_basis = timelines.clock_basis
),

edges as (
    select
        timeline_no,
        unnest([from_us, to_us]) as at_us,
        unnest([1, -1]) as sign,
        n_events,
        event_no,
        event_procedure_no,
        n_windows,
        window_procedure_no,
        n_unknown
    from touchable
),

-- Running sums, also of the numbers: where one event is on, the sum of the numbers of those that are on is its number.
timeline as (
    select
        timeline_no,
        at_us as from_us,
        lead(at_us) over room_time as to_us,
        cast(sum(sign * n_events) over room_time as integer) as n_events,
        cast(sum(cast(sign * event_no as bigint)) over room_time as bigint) as event_no,
        cast(sum(cast(sign * event_procedure_no as bigint)) over room_time as bigint) as event_procedure_no,
        cast(sum(sign * n_windows) over room_time as integer) as n_windows,
        cast(sum(cast(sign * window_procedure_no as bigint)) over room_time as bigint) as window_procedure_no,
        sum(sign * n_unknown) over room_time > 0 as is_clock_unknown
    from edges
    window room_time as (partition by timeline_no order by at_us)
),

-- What lasts, once for each minute: an equi-join on the minute comes first, so that ranges are compared within it only.
touchable_minutes as (
    select
        *,
        unnest(range(from_us // {{ minute_us }}, (to_us - 1) // {{ minute_us }} + 1)) as utc_minute
    from touchable
),

-- Where several are on, they are listed.
crowds as (
    select
        timeline.timeline_no,
        timeline.from_us,
        row_number() over (order by timeline.timeline_no, timeline.from_us) as crowd_no,
        list(touchable.hit) filter (where touchable.hit is not null) as events,
        string_agg(touchable.window_procedure_id, ' ' order by touchable.window_procedure_id) as window_procedures
    from timeline
    inner join touchable_minutes as touchable
        on
            timeline.timeline_no = touchable.timeline_no
            and timeline.from_us // {{ minute_us }} = touchable.utc_minute
            and timeline.from_us >= touchable.from_us
            and timeline.from_us < touchable.to_us
    where (timeline.n_events > 1 or timeline.n_windows > 1) and timeline.to_us > timeline.from_us
    group by timeline.timeline_no, timeline.from_us
),

stretches as (
    select
        timeline.*,
        crowds.crowd_no,
        unnest(
            range(timeline.from_us // {{ minute_us }}, (timeline.to_us - 1) // {{ minute_us }} + 1)
        ) as utc_minute
    from timeline
    left join crowds on timeline.timeline_no = crowds.timeline_no and timeline.from_us = crowds.from_us
    where timeline.to_us > timeline.from_us and (timeline.n_events > 0 or timeline.n_windows > 0)
),

beams as (
    select * from stretches
    where n_events > 0
),

windows as (
    select * from stretches
    where n_events = 0
),

-- What a sample touches in each room that evidence allows; where it touches nothing, a row without a stretch.
touched as not materialized (
    select
        samples.dose_key,
        samples.dosimeter_serial,
        samples.started_us,
        samples.length_us,
        sample_rooms.n_rooms,
        sample_rooms.is_any_room,
        sample_rooms.is_badge_in_doubt,
        coalesce(beams.n_events, 0) as n_events,
        beams.event_no,
        beams.event_procedure_no,
        crowds.events,
        coalesce(windows.n_windows, 0) as n_windows,
        case when windows.n_windows = 1 then windows.window_procedure_no end as window_procedure_no,
        crowds.window_procedures,
        coalesce(windows.is_clock_unknown, false) as is_clock_unknown
    from samples
    inner join sample_rooms
        on
            samples.dosimeter_serial = sample_rooms.dosimeter_serial
            and samples.measured_date = sample_rooms.measured_date
            and samples.operator_id is not distinct from sample_rooms.operator_id
            and samples.evident_room_id is not distinct from sample_rooms.evident_room_id
            and samples.clock_basis = sample_rooms.clock_basis
            and samples.length_us is not distinct from sample_rooms.length_us
    left join beams
        on
            sample_rooms.timeline_no = beams.timeline_no
            and samples.started_us // {{ minute_us }} = beams.utc_minute
            and samples.started_us >= beams.from_us
            and samples.started_us < beams.to_us
    -- Where no beam is on; a join key that is NULL costs nothing.
    left join windows
        on
            case when beams.timeline_no is null then sample_rooms.timeline_no end = windows.timeline_no
            and samples.started_us // {{ minute_us }} = windows.utc_minute
            and samples.started_us >= windows.from_us
            and samples.started_us < windows.to_us
    left join crowds on coalesce(beams.crowd_no, windows.crowd_no) = crowds.crowd_no
),

-- Of several events of a room the longest overlap; of equal ones the event that began first, then plane A: when both planes
-- are on, a badge cannot tell them apart, and the answer must be the same every time.
chosen as not materialized (
    select
        * exclude (event_no, event_procedure_no, events),
        case
            when n_events = 1 then struct_pack(event_no := event_no, procedure_no := event_procedure_no)
            when n_events > 1
                then list_max(
                    list_transform(
                        events,
                        lambda e: struct_pack(
                            overlap_us := least(started_us + length_us, e.ended_us)
                            - greatest(started_us, e.started_us),
                            earliness := -e.started_us,
                            is_not_plane_b := not e.is_plane_b,
                            hit := struct_pack(event_no := e.event_no, procedure_no := e.procedure_no)
                        )
                    )
                ).hit
        end as hit
    from touched
),

in_one_room as not materialized (
    select
        dose_key,
        dosimeter_serial,
        is_badge_in_doubt,
        cast(n_events > 0 as bigint) as n_rooms_on,
        hit,
        n_windows,
        window_procedure_no,
        window_procedures,
        is_clock_unknown
    from chosen
    where n_rooms = 1
),

in_several_rooms as (
    select
        chosen.dose_key,
        any_value(chosen.dosimeter_serial) as dosimeter_serial,
        count(chosen.hit) as n_rooms_on,
        any_value(chosen.hit) as hit,
        list(chosen.hit) filter (where chosen.hit is not null) as events,
        cast(sum(chosen.n_windows) as bigint) as n_windows,
        any_value(chosen.window_procedure_no) as window_procedure_no,
        string_agg(coalesce(chosen.window_procedures, procedures.procedure_id), ' ' order by procedures.procedure_id)
            as window_procedures,
        bool_or(chosen.is_clock_unknown) as is_clock_unknown,
        any_value(case when chosen.is_any_room then chosen.dosimeter_serial end) as badge_of_any_room
    from chosen
    left join procedures on chosen.window_procedure_no = procedures.procedure_no
    where chosen.n_rooms > 1
    group by chosen.dose_key
),

-- Rule 2: two rooms at once; the badge's other samples of those procedures decide, if clearly.
disputed as (
    select
        dose_key,
        dosimeter_serial,
        unnest(events) as hit
    from in_several_rooms
    where n_rooms_on > 1
),

disputed_badges as (
    select distinct dosimeter_serial
    from disputed
),

-- A badge that may never be disputed is not even looked at.
certain as (
    select
        dosimeter_serial,
        hit
    from in_one_room
    where n_rooms_on = 1 and is_badge_in_doubt
    union all
    select
        dosimeter_serial,
        hit
    from in_several_rooms
    where n_rooms_on = 1
),

badge_samples as (
    select
        certain.dosimeter_serial,
        certain.hit.procedure_no,
        count(*) as n_samples
    from certain
    inner join disputed_badges on certain.dosimeter_serial = disputed_badges.dosimeter_serial
    group by all
),

disputed_shares as (
    select
        disputed.dose_key,
        disputed.hit,
        procedures.procedure_id,
        coalesce(badge_samples.n_samples, 0)
        / nullif(sum(coalesce(badge_samples.n_samples, 0)) over (partition by disputed.dose_key), 0) as room_share
    from disputed
    inner join procedures on disputed.hit.procedure_no = procedures.procedure_no
    left join badge_samples
        on
            disputed.dosimeter_serial = badge_samples.dosimeter_serial
            and disputed.hit.procedure_no = badge_samples.procedure_no
),

settled as (
    select
        dose_key,
        string_agg(procedure_id, ' ' order by procedure_id) as candidates,
        -- Two shares can both reach the bound only if it is set to a half or less: then nothing is settled.
        case
            when count(*) filter (where room_share >= {{ var('room_majority_share') }}) = 1
                then any_value(hit) filter (where room_share >= {{ var('room_majority_share') }})
        end as hit
    from disputed_shares
    group by dose_key
),

-- Where neither hub nor logbook speaks for a room (rule 1: "else any"), beams of a stranger's room and a badge's dose meet by
-- chance as often as the beam there is on. Who was there has dose at its beams and hardly between them: so of the badge's
-- samples within the procedure the share that rule 2 asks for must be at its beams, else time alone does not tell the room.
explained as (
    select
        chosen.dosimeter_serial,
        procedures.procedure_no,
        procedures.procedure_id,
        count(chosen.hit) / count(*) as beam_share
    from chosen
    inner join procedures
        on procedures.procedure_no = coalesce(chosen.hit.procedure_no, chosen.window_procedure_no)
    where chosen.n_rooms > 1 and chosen.is_any_room
    group by all
),

together as (
    select
        * exclude (dosimeter_serial, is_badge_in_doubt),
        cast(null as varchar) as badge_of_any_room
    from in_one_room
    union all by name
    select * exclude (dosimeter_serial, events) from in_several_rooms
),

judged as (
    select
        together.dose_key,
        case when together.n_rooms_on > 1 then settled.hit else together.hit end as hit,
        case
            when together.n_rooms_on = 0 and together.n_windows = 1 and not together.is_clock_unknown
                then together.window_procedure_no
        end as window_procedure_no,
        case
            when together.n_rooms_on > 1 then 'ambiguous_room'
            when together.n_windows = 0 then 'no_procedure'
            when together.n_windows > 1 then 'ambiguous_procedure'
            else 'clock_unknown'
        end as reason,
        together.badge_of_any_room,
        settled.candidates as room_candidates,
        coalesce(together.window_procedures, procedures.procedure_id) as window_candidates
    from together
    left join settled on together.dose_key = settled.dose_key
    left join procedures
        on procedures.procedure_no = case when together.is_clock_unknown then together.window_procedure_no end
),

believed as (
    select
        judged.dose_key,
        coalesce(explained.beam_share < {{ var('room_majority_share') }}, false) as is_by_chance,
        case when not is_by_chance then judged.hit end as hit,
        case when not is_by_chance then judged.window_procedure_no end as window_procedure_no,
        case when is_by_chance then 'ambiguous_room' else judged.reason end as reason,
        -- Which rooms were in question is told also where the badge's other samples decided.
        coalesce(judged.room_candidates, case when is_by_chance then explained.procedure_id end) as room_candidates,
        judged.window_candidates
    from judged
    left join explained
        on
            judged.badge_of_any_room = explained.dosimeter_serial
            and coalesce(judged.hit.procedure_no, judged.window_procedure_no) = explained.procedure_no
),

final as (
    select
        dose_key,
        cast(
            case
                when hit is not null then 'event' when window_procedure_no is not null then 'window' else 'unlinked'
            end as enum('event', 'window', 'unlinked')
        ) as disposition,
        cast(
            case when hit is null and window_procedure_no is null then reason end
            as enum('no_procedure', 'ambiguous_room', 'ambiguous_procedure', 'clock_unknown')
        ) as reason,
        cast(coalesce(hit.procedure_no, window_procedure_no) as integer) as procedure_no,
        cast(hit.event_no as integer) as event_no,
        coalesce(
            room_candidates, case when hit is null and window_procedure_no is null then window_candidates end
        ) as candidates
    from believed
)

select * from final
