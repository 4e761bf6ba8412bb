-- The timeline of each room: intervals of its events, and, for samples that touch none, of the windows of its procedures.
with event_intervals as (
    select * from {{ ref('int_event_interval') }}
),

window_intervals as (
    select * from {{ ref('int_window_interval') }}
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
    from event_intervals
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
    from window_intervals
)

select * from final
