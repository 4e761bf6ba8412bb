-- Where each rate sample belongs: beam-on of exactly one allowed room, else the window of exactly one procedure, else a
-- reason with the candidates (contract, linking rules 1 to 3). Never split, never the nearest room.
-- Tens of millions of samples meet the intervals of a room: each finds its own in one look, by numbers and as early as
-- possible; names and lists are joined only for the few rows that need them.
{{ config(**incremental_by_date('measured_date', 'int_link_day')) }}
{% set minute_us = 60000000 %}
{% set hour_us = 3600000000 %}
with samples as not materialized (
    select
        dose_key,
        sample_group,
        epoch_us(started_at) as started_us
    from {{ ref('int_dose_evidence') }}
    where {{ is_input_of_batch('measured_date', 'measured_date', 'int_link_day', 'neighbour_dates') }}
),

-- A sample's group is of its own day: a condition on the day here, too, makes DuckDB expect so few samples that it puts them, and
-- not the intervals, into the hash table.
sample_rooms as (
    select
        *,
        max(n_rooms) over (partition by badge_key) > 1 as is_badge_in_doubt
    from {{ ref('int_sample_room') }}
),

intervals as (
    select
        *,
        epoch_us(from_at) as from_us,
        epoch_us(to_at) as to_us
    from {{ ref('int_room_interval') }}
),

procedures as (
    select distinct
        procedure_hash,
        procedure_id
    from {{ ref('int_procedure_clock') }}
),

-- Once for each minute or hour: an equi-join comes first, so that times are compared within it only.
beams as (
    select
        *,
        unnest(range(from_us // {{ minute_us }}, (to_us - 1) // {{ minute_us }} + 1)) as utc_minute
    from intervals
    where event_hash is not null
),

windows as (
    select
        *,
        unnest(range(from_us // {{ hour_us }}, (to_us - 1) // {{ hour_us }} + 1)) as utc_hour
    from intervals
    where event_hash is null
),

-- The intervals that a sample touches in each allowed room; where it touches none, a row without an interval.
touched as not materialized (
    select
        samples.dose_key,
        sample_rooms.badge_key,
        sample_rooms.measured_date,
        sample_rooms.n_rooms,
        sample_rooms.is_any_room,
        sample_rooms.is_badge_in_doubt,
        beams.event_hash,
        coalesce(beams.procedure_hash, windows.procedure_hash) as procedure_hash,
        coalesce(windows.n_windows, 0) as n_windows,
        coalesce(windows.is_clock_unknown, false) as is_clock_unknown,
        windows.candidates
    from samples
    inner join sample_rooms on samples.sample_group = sample_rooms.sample_group
    left join beams
        on
            sample_rooms.timeline_key = beams.timeline_key
            and samples.started_us // {{ minute_us }} = beams.utc_minute
            and samples.started_us >= beams.from_us
            and samples.started_us < beams.to_us
    -- Where no beam is on; a NULL join key is free.
    left join windows
        on
            case when beams.timeline_key is null then sample_rooms.timeline_key end = windows.timeline_key
            and samples.started_us // {{ hour_us }} = windows.utc_hour
            and samples.started_us >= windows.from_us
            and samples.started_us < windows.to_us
),

in_one_room as not materialized (
    select
        dose_key,
        badge_key,
        measured_date,
        is_badge_in_doubt,
        event_hash,
        procedure_hash,
        n_windows,
        is_clock_unknown,
        candidates
    from touched
    where n_rooms = 1
),

in_several_rooms as (
    select
        touched.dose_key,
        any_value(touched.badge_key) as badge_key,
        any_value(touched.measured_date) as measured_date,
        count(touched.event_hash) as n_rooms_on,
        any_value(touched.event_hash) as event_hash,
        coalesce(
            any_value(touched.procedure_hash) filter (where touched.event_hash is not null),
            any_value(touched.procedure_hash)
        ) as procedure_hash,
        list(
            struct_pack(event_hash := touched.event_hash, procedure_hash := touched.procedure_hash)
        ) filter (where touched.event_hash is not null) as hits,
        cast(sum(touched.n_windows) as bigint) as n_windows,
        bool_or(touched.is_clock_unknown) as is_clock_unknown,
        string_agg(
            coalesce(touched.candidates, procedures.procedure_id), ' ' order by procedures.procedure_id
        ) filter (where touched.event_hash is null) as candidates,
        any_value(case when touched.is_any_room then touched.badge_key end) as badge_of_any_room
    from touched
    left join procedures on touched.procedure_hash = procedures.procedure_hash
    where touched.n_rooms > 1
    group by touched.dose_key
),

-- Rule 2: two rooms at once; the badge's other samples of those procedures decide, if clearly.
disputed as (
    select
        dose_key,
        badge_key,
        unnest(hits) as hit
    from in_several_rooms
    where n_rooms_on > 1
),

disputed_badges as (
    select distinct badge_key
    from disputed
),

-- Badges that cannot be disputed are left out.
certain as (
    select
        badge_key,
        procedure_hash
    from in_one_room
    where event_hash is not null and is_badge_in_doubt
    union all
    select
        badge_key,
        procedure_hash
    from in_several_rooms
    where n_rooms_on = 1
),

badge_samples as (
    select
        certain.badge_key,
        certain.procedure_hash,
        count(*) as n_samples
    from certain
    inner join disputed_badges on certain.badge_key = disputed_badges.badge_key
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
    inner join procedures on disputed.hit.procedure_hash = procedures.procedure_hash
    left join badge_samples
        on
            disputed.badge_key = badge_samples.badge_key
            and disputed.hit.procedure_hash = badge_samples.procedure_hash
),

settled as (
    select
        dose_key,
        string_agg(procedure_id, ' ' order by procedure_id) as candidates,
        -- Two shares can both reach the bound only if it is set to a half or less: then the room stays open.
        case
            when count(*) filter (where room_share >= {{ var('room_majority_share') }}) = 1
                then any_value(hit) filter (where room_share >= {{ var('room_majority_share') }})
        end as hit
    from disputed_shares
    group by dose_key
),

-- Where neither hub nor logbook gives a room (rule 1: "else any"), beams of another room and a badge's dose meet by
-- chance as often as the beam there is on. Who was there has dose at its beams and hardly between them: so of the badge's
-- samples within the procedure the share that rule 2 requires must be at its beams, otherwise time alone does not decide the room.
explained as (
    select
        touched.badge_key,
        procedures.procedure_hash,
        procedures.procedure_id,
        count(touched.event_hash) / count(*) as beam_share
    from touched
    inner join procedures on touched.procedure_hash = procedures.procedure_hash
    where touched.n_rooms > 1 and touched.is_any_room
    group by all
),

-- The rooms in question are listed also where the badge's other samples decided.
in_doubtful_room as (
    select
        in_several_rooms.dose_key,
        in_several_rooms.measured_date,
        coalesce(explained.beam_share < {{ var('room_majority_share') }}, false) as is_by_chance,
        case
            when is_by_chance then null
            when in_several_rooms.n_rooms_on > 1 then settled.hit.event_hash
            else in_several_rooms.event_hash
        end as event_hash,
        case
            when is_by_chance then null
            when in_several_rooms.n_rooms_on > 1 then settled.hit.procedure_hash
            else in_several_rooms.procedure_hash
        end as procedure_hash,
        in_several_rooms.n_windows,
        in_several_rooms.is_clock_unknown,
        in_several_rooms.n_rooms_on > 1 or is_by_chance as is_room_in_question,
        coalesce(settled.candidates, case when is_by_chance then explained.procedure_id end) as room_candidates,
        in_several_rooms.candidates
    from in_several_rooms
    left join settled on in_several_rooms.dose_key = settled.dose_key
    left join explained
        on
            in_several_rooms.badge_of_any_room = explained.badge_key
            and explained.procedure_hash = case
                when in_several_rooms.n_rooms_on > 1 then settled.hit.procedure_hash
                when in_several_rooms.n_rooms_on = 1 then in_several_rooms.procedure_hash
                when in_several_rooms.n_windows = 1 and not in_several_rooms.is_clock_unknown
                    then in_several_rooms.procedure_hash
            end
),

together as (
    select
        * exclude (badge_key, is_badge_in_doubt),
        false as is_room_in_question,
        cast(null as varchar) as room_candidates
    from in_one_room
    union all by name
    select * exclude (is_by_chance) from in_doubtful_room
),

judged as (
    select
        dose_key,
        measured_date,
        event_hash,
        case
            when event_hash is not null or (n_windows = 1 and not is_clock_unknown) then procedure_hash
        end as procedure_hash,
        case
            when is_room_in_question then 'ambiguous_room'
            when n_windows = 0 then 'no_procedure'
            when n_windows > 1 then 'ambiguous_procedure'
            else 'clock_unknown'
        end as reason,
        room_candidates,
        candidates
    from together
    where {{ is_in_batch('measured_date') }}
),

final as (
    select
        dose_key,
        measured_date,
        cast(
            case
                when event_hash is not null then 'event' when procedure_hash is not null then 'window' else 'unlinked'
            end as enum('event', 'window', 'unlinked')
        ) as disposition,
        cast(
            case when procedure_hash is null then reason end
            as enum('no_procedure', 'ambiguous_room', 'ambiguous_procedure', 'clock_unknown')
        ) as reason,
        procedure_hash,
        event_hash,
        coalesce(room_candidates, case when procedure_hash is null then candidates end) as candidates
    from judged
)

select * from final
