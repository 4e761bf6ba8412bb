-- From when to when a sample that begins then belongs to an event of the room, else to the windows of procedures (contract,
-- linking rules 1, 3 and 6). A room has one timeline for each clock basis and length of sample.
-- What a sample shares with a beam is the least of four lengths: its own, the beam's, from its start to the beam's end, from
-- the beam's start to its end. So of two beams the one that ends later takes over at one moment, once and for good, and
-- each event has one stretch: found once for each event instead of for each of some hundred samples.
-- Only of the time in which samples lie that this build links.
{% set minute_us = 60000000 %}
{% set hour_us = 3600000000 %}
with link_days as (
    select * from {{ ref('int_link_day') }}
),

linked_days as (
    select unnest(neighbour_dates) as measured_date
    from link_days
    where {{ is_due('link_days', 'measured_date', 'int_sample_link') }}
),

sample_rooms as (
    select * from {{ ref('int_sample_room') }}
    where measured_date in (select linked_days.measured_date from linked_days)
),

beam_on as (
    select * from {{ ref('int_beam_on') }}
),

procedure_clocks as (
    select * from {{ ref('int_procedure_clock') }}
),

timelines as (
    select
        timeline_key,
        room_id,
        clock_basis,
        length_us,
        epoch_us(min(first_started_at)) as first_us,
        epoch_us(max(last_ended_at)) as last_us
    from sample_rooms
    group by timeline_key, room_id, clock_basis, length_us
),

-- A sample touches what lasts from a to b if it begins before b and after a less its own length.
beams as (
    select
        timelines.timeline_key,
        timelines.length_us,
        beam_on.event_hash,
        beam_on.procedure_hash,
        coalesce(beam_on.plane = 'B', false) as is_plane_b,
        epoch_us(beam_on.started_at) as started_us,
        epoch_us(beam_on.ended_at) as ended_us,
        cast(({{ var('event_tolerance_s') }} + beam_on.uncertainty_s) * 1000000 as bigint) as tolerance_us,
        epoch_us(beam_on.started_at) - tolerance_us - timelines.length_us + 1 as from_us,
        epoch_us(beam_on.ended_at) + tolerance_us as to_us
    from beam_on
    inner join timelines on beam_on.room_id = timelines.room_id and beam_on.clock_basis = timelines.clock_basis
    where from_us <= timelines.last_us and to_us > timelines.first_us
),

-- An equi-join on the minute comes first, so that times are compared within it only.
beam_minutes as (
    select
        *,
        unnest(range(from_us // {{ minute_us }}, (to_us - 1) // {{ minute_us }} + 1)) as utc_minute
    from beams
),

-- Two beams that one sample can touch. Equal shares go to the beam that began first, then to plane A: when both planes are
-- on, a badge cannot tell them apart, and the answer must be the same every time.
pairs as (
    select
        former.timeline_key,
        former.event_hash as former_hash,
        latter.event_hash as latter_hash,
        former.length_us,
        former.ended_us - former.started_us as former_us,
        latter.ended_us - latter.started_us as latter_us,
        former.ended_us as former_ended_us,
        latter.started_us as latter_started_us,
        latter.ended_us > former.ended_us as is_taken_over
    from beam_minutes as former
    inner join beam_minutes as latter
        on
            former.timeline_key = latter.timeline_key
            and former.utc_minute = latter.utc_minute
            and former.from_us < latter.to_us
            and former.to_us > latter.from_us
            and (former.started_us, former.is_plane_b, latter.event_hash)
            < (latter.started_us, latter.is_plane_b, former.event_hash)
),

-- The first moment at which a sample shares more with the latter beam: as soon as what is left of the former beam is less
-- than all that the latter can give, or, if the former beam is the shortest of all, than what the sample has of the latter.
takeovers as (
    select
        timeline_key,
        former_hash,
        latter_hash,
        is_taken_over,
        1 + least(
            greatest(
                former_ended_us - least(length_us, latter_us), (former_ended_us + latter_started_us - length_us) // 2
            ),
            case
                when former_us < least(length_us, latter_us) then latter_started_us - length_us + former_us
            end
        ) as at_us
    from pairs
),

-- What this leaves of either: the former beam has the samples before, the latter those after, if it takes over at all.
shortened as (
    select
        timeline_key,
        former_hash as event_hash,
        cast(null as bigint) as from_us,
        case when is_taken_over then at_us end as to_us,
        false as is_never
    from takeovers
    union all
    select
        timeline_key,
        latter_hash as event_hash,
        at_us as from_us,
        cast(null as bigint) as to_us,
        not is_taken_over as is_never
    from takeovers
),

limits as (
    select
        timeline_key,
        event_hash,
        max(from_us) as from_us,
        min(to_us) as to_us,
        bool_or(is_never) as is_never
    from shortened
    group by timeline_key, event_hash
),

event_stretches as (
    select
        beams.timeline_key,
        beams.event_hash,
        beams.procedure_hash,
        greatest(beams.from_us, limits.from_us) as from_us,
        least(beams.to_us, limits.to_us) as to_us
    from beams
    left join limits on beams.timeline_key = limits.timeline_key and beams.event_hash = limits.event_hash
    where not coalesce(limits.is_never, false)
),

windows as (
    select
        timelines.timeline_key,
        procedure_clocks.procedure_hash,
        procedure_clocks.procedure_id,
        -- Without a clock for so long a window may well be another procedure's (contract, linking rule 6).
        procedure_clocks.unknown_days >= {{ var('clock_unknown_days') }} as is_clock_unknown,
        epoch_us(procedure_clocks.started_at)
        - {{ var('window_margin_s') }} * 1000000
        - timelines.length_us + 1 as from_us,
        epoch_us(procedure_clocks.ended_at) + {{ var('window_margin_s') }} * 1000000 as to_us
    from procedure_clocks
    inner join timelines
        on procedure_clocks.room_id = timelines.room_id and procedure_clocks.clock_basis = timelines.clock_basis
    where from_us <= timelines.last_us and to_us > timelines.first_us
),

window_hours as (
    select
        *,
        unnest(range(from_us // {{ hour_us }}, (to_us - 1) // {{ hour_us }} + 1)) as utc_hour
    from windows
),

edges as (
    select distinct
        timeline_key,
        unnest([from_us, to_us]) as from_us
    from windows
),

pieces as (
    select
        timeline_key,
        from_us,
        lead(from_us) over (partition by timeline_key order by from_us) as to_us
    from edges
),

window_stretches as (
    select
        pieces.timeline_key,
        pieces.from_us,
        pieces.to_us,
        count(*) as n_windows,
        bool_or(windows.is_clock_unknown) as is_clock_unknown,
        case when count(*) = 1 then any_value(windows.procedure_hash) end as procedure_hash,
        case
            when count(*) > 1 or bool_or(windows.is_clock_unknown)
                then string_agg(windows.procedure_id, ' ' order by windows.procedure_id)
        end as candidates
    from pieces
    inner join window_hours as windows
        on
            pieces.timeline_key = windows.timeline_key
            and pieces.from_us // {{ hour_us }} = windows.utc_hour
            and pieces.from_us >= windows.from_us
            and pieces.from_us < windows.to_us
    group by pieces.timeline_key, pieces.from_us, pieces.to_us
),

final as (
    select
        timeline_key,
        make_timestamptz(from_us) as from_at,
        make_timestamptz(to_us) as to_at,
        event_hash,
        procedure_hash,
        0 as n_windows,
        false as is_clock_unknown,
        cast(null as varchar) as candidates
    from event_stretches
    where from_us < to_us
    union all
    select
        timeline_key,
        make_timestamptz(from_us) as from_at,
        make_timestamptz(to_us) as to_at,
        cast(null as ubigint) as event_hash,
        procedure_hash,
        n_windows,
        is_clock_unknown,
        candidates
    from window_stretches
)

select * from final
