-- Where each rate sample belongs: beam-on of exactly one allowed room, else the window of exactly one procedure, else a
-- reason with the candidates (contract, linking rules 1 to 3). Never split, never the nearest room.
with samples as (
    select * from {{ ref('int_dose_evidence') }}
    where layout = 'rate_samples' and barred_reason is null
),

sample_rooms as (
    select * from {{ ref('int_sample_room') }}
),

beam_on as (
    select * from {{ ref('int_beam_on') }}
),

procedure_clocks as (
    select * from {{ ref('int_procedure_clock') }}
),

-- Both sides carry their UTC days, so that the join compares times within a room and a day only.
placed as (
    select
        samples.dose_key,
        samples.dosimeter_serial,
        samples.started_at,
        samples.ended_at,
        samples.clock_basis,
        sample_rooms.room_id,
        date_trunc('day', samples.started_at) as utc_day
    from samples
    inner join sample_rooms
        on
            samples.dosimeter_serial = sample_rooms.dosimeter_serial
            and samples.measured_date = sample_rooms.measured_date
            and samples.operator_id is not distinct from sample_rooms.operator_id
            and samples.evident_room_id is not distinct from sample_rooms.evident_room_id
),

beam_days as (
    select
        *,
        to_microseconds(cast(({{ var('event_tolerance_s') }} + uncertainty_s) * 1000000 as bigint)) as tolerance,
        started_at - tolerance as from_at,
        ended_at + tolerance as to_at,
        unnest(
            generate_series(
                date_trunc('day', started_at - interval 1 hour), ended_at + interval 1 hour, interval 1 day
            )
        ) as utc_day
    from beam_on
),

window_days as (
    select
        *,
        started_at - to_seconds({{ var('window_margin_s') }}) as from_at,
        ended_at + to_seconds({{ var('window_margin_s') }}) as to_at,
        unnest(
            generate_series(
                date_trunc('day', started_at - interval 1 hour), ended_at + interval 1 hour, interval 1 day
            )
        ) as utc_day
    from procedure_clocks
),

-- The event of each room that a sample shares most time with.
room_events as (
    select
        placed.dose_key,
        placed.dosimeter_serial,
        beam_days.room_id,
        arg_max(
            struct_pack(event_uid := beam_days.irradiation_event_uid, procedure_id := beam_days.procedure_id),
            -- Longest overlap; of equal ones the event that began first, then plane A: when both planes are on, a badge
            -- cannot tell them apart, and the answer must be the same every time.
            row(
                least(epoch_us(placed.ended_at), epoch_us(beam_days.ended_at))
                - greatest(epoch_us(placed.started_at), epoch_us(beam_days.started_at)),
                -epoch_us(beam_days.started_at),
                beam_days.plane != 'B',
                beam_days.irradiation_event_uid
            )
        ) as best
    from placed
    inner join beam_days
        on
            placed.room_id = beam_days.room_id
            and placed.clock_basis = beam_days.clock_basis
            and placed.utc_day = beam_days.utc_day
            and placed.started_at < beam_days.to_at
            and placed.ended_at > beam_days.from_at
    group by all
),

event_rooms as (
    select
        dose_key,
        dosimeter_serial,
        count(*) as n_rooms,
        list(struct_insert(best, room_id := room_id) order by room_id) as choices
    from room_events
    group by all
),

certain as (
    select
        dose_key,
        dosimeter_serial,
        choices[1].procedure_id as procedure_id
    from event_rooms
    where n_rooms = 1
),

-- Rule 2: two rooms at once; the badge's other samples of those procedures decide, if clearly.
disputed as (
    select
        dose_key,
        dosimeter_serial,
        unnest(choices) as choice
    from event_rooms
    where n_rooms > 1
),

badge_samples as (
    select
        dosimeter_serial,
        procedure_id,
        count(*) as n_samples
    from certain
    group by all
),

disputed_shares as (
    select
        disputed.dose_key,
        disputed.choice,
        coalesce(badge_samples.n_samples, 0)
        / nullif(sum(coalesce(badge_samples.n_samples, 0)) over (partition by disputed.dose_key), 0) as room_share
    from disputed
    left join badge_samples
        on
            disputed.dosimeter_serial = badge_samples.dosimeter_serial
            and disputed.choice.procedure_id = badge_samples.procedure_id
),

settled as (
    select
        dose_key,
        choice
    from disputed_shares
    where room_share >= {{ var('room_majority_share') }}
    -- Two shares can both reach the bound only if it is set to a half or less: then nothing is settled.
    qualify count(*) over (partition by dose_key) = 1
),

windows as (
    select
        placed.dose_key,
        count(distinct window_days.procedure_id) as n_procedures,
        min(window_days.procedure_id) as procedure_id,
        min(window_days.room_id) as room_id,
        string_agg(distinct window_days.procedure_id, ' ' order by window_days.procedure_id) as candidates,
        -- Without a clock for so long a window may well be another procedure's (contract, linking rule 6).
        bool_or(window_days.unknown_days >= {{ var('clock_unknown_days') }}) as is_clock_unknown
    from placed
    inner join window_days
        on
            placed.room_id = window_days.room_id
            and placed.clock_basis = window_days.clock_basis
            and placed.utc_day = window_days.utc_day
            and placed.started_at < window_days.to_at
            and placed.ended_at > window_days.from_at
    anti join event_rooms on placed.dose_key = event_rooms.dose_key
    group by all
),

final as (
    select
        samples.dose_key,
        case
            when event_rooms.n_rooms = 1 or settled.dose_key is not null then 'event'
            when event_rooms.n_rooms is null and windows.n_procedures = 1 and not windows.is_clock_unknown then 'window'
            else 'unlinked'
        end as disposition,
        case
            when event_rooms.n_rooms = 1 or settled.dose_key is not null then null
            when event_rooms.n_rooms > 1 then 'ambiguous_room'
            when windows.n_procedures = 1 then case when windows.is_clock_unknown then 'clock_unknown' end
            when windows.n_procedures > 1 then 'ambiguous_procedure'
            else 'no_procedure'
        end as reason,
        case
            when event_rooms.n_rooms = 1 then event_rooms.choices[1].procedure_id
            when settled.dose_key is not null then settled.choice.procedure_id
            when windows.n_procedures = 1 and not windows.is_clock_unknown then windows.procedure_id
        end as procedure_id,
        case
            when event_rooms.n_rooms = 1 then event_rooms.choices[1].event_uid
            else settled.choice.event_uid
        end as irradiation_event_uid,
        case
            when event_rooms.n_rooms > 1
                then list_aggregate(list_transform(event_rooms.choices, lambda o: o.procedure_id), 'string_agg', ' ')
            when windows.n_procedures > 1 or windows.is_clock_unknown then windows.candidates
        end as candidates
    from samples
    left join event_rooms on samples.dose_key = event_rooms.dose_key
    left join settled on samples.dose_key = settled.dose_key
    left join windows on samples.dose_key = windows.dose_key
)

select * from final
