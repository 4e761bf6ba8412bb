-- From when to when a sample that begins then is in the windows of the same procedures of its room (contract, linking rules 3
-- and 6): the windows cut at every edge of one of them.
{% set hour_us = 3600000000 %}
with timelines as (
    select * from {{ ref('int_room_timeline') }}
),

procedure_clocks as (
    select * from {{ ref('int_procedure_clock') }}
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

final as (
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
)

select * from final
