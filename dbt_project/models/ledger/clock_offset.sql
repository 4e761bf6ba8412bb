with offsets as (
    select * from {{ ref('int_clock_offset') }}
),

final as (
    select
        room_id,
        offset_date,
        cast(offset_s as double) as offset_s,
        cast(uncertainty_s as double) as uncertainty_s,
        offset_method as method,
        cast(n_events as bigint) as n_events,
        correlation,
        peak_ratio,
        is_accepted
    from offsets
)

select * from final
