-- From when to when a sample that begins then belongs to an event of the room (contract, linking rule 1).
-- What a sample shares with a beam is the least of four lengths: its own, the beam's, from its start to the beam's end, from
-- the beam's start to its end. So of two beams the one that ends later takes over at one moment, once and for good, and
-- each event has one interval: found once for each event instead of for each of some hundred samples.
{% set minute_us = 60000000 %}
with timelines as (
    select * from {{ ref('int_room_timeline') }}
),

beam_on as (
    select * from {{ ref('int_beam_on') }}
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
-- on, a badge cannot distinguish them, and the result must be the same every time.
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

shares as (
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

final as (
    select * from shares
    where from_us < to_us
)

select * from final
