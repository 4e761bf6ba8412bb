-- Each reading of a counter between the reading before it and its segment: the readings from one reset to the next. A fall is a
-- correction if it is small (dip_share and dip_usv), else a reset (contract, Dips and resets). The dose of a reading is what it adds
-- to the highest reading of its segment. A segment begins at 0, the first one at the first reading, which is a baseline.
with versions as (
    select * from {{ ref('int_record_version') }}
    where is_current and is_counter and token is null
),

placed as (
    select
        load_seq,
        line,
        source_id,
        layout,
        dosimeter_serial,
        quantity,
        value_usv,
        is_ambiguous,
        started_at,
        hub,
        other_hubs,
        peak_rate_usv_per_h,
        source_has_hubs,
        records_when_idle,
        site_timezone,
        -- A reading of an hourly counter is taken at the end of its hour.
        case when layout = 'hourly_totals' then ended_at else started_at end as read_at,
        -- In a doubled hour the time does not distinguish the two passes; a counter that grows does, in any file.
        case when is_ambiguous then date_trunc('hour', started_at) else started_at end as order_at
    from versions
),

followed as (
    select
        *,
        row_number() over sequence as nth_reading,
        lag(value_usv) over sequence as previous_usv,
        lag(read_at) over sequence as previous_at,
        lag(is_ambiguous) over sequence as is_previous_ambiguous
    from placed
    window sequence as (
        partition by source_id, dosimeter_serial, quantity, layout order by order_at, value_usv, load_seq, line
    )
),

-- An hourly step is booked on the begin of its hour or gap, a step of a log on its end.
dated as (
    select
        *,
        {{ local_date("case when layout = 'hourly_totals' then coalesce(previous_at, started_at) else started_at end",
            'site_timezone') }} as measured_date
    from followed
),

judged as (
    select
        *,
        coalesce({{ is_counter_reset('value_usv', 'previous_usv') }}, false) as is_reset,
        coalesce(value_usv < previous_usv and not is_reset, false) as is_dip
    from dated
    where measured_date <= {{ as_of() }}
),

segmented as (
    select
        *,
        count(*) filter (where is_reset) over (
            partition by source_id, dosimeter_serial, quantity, layout
            order by nth_reading
            rows between unbounded preceding and current row
        ) as nth_segment
    from judged
),

highest as (
    select
        *,
        max(value_usv) over (
            partition by source_id, dosimeter_serial, quantity, layout, nth_segment
            order by nth_reading
            rows between unbounded preceding and current row
        ) as highest_usv
    from segmented
),

final as (
    select
        * exclude (order_at),
        cast(
            case
                when nth_reading > 1
                    then highest_usv - coalesce(lag(highest_usv) over of_segment, 0)
            end as {{ dose_type() }}
        ) as step_usv
    from highest
    window of_segment as (
        partition by source_id, dosimeter_serial, quantity, layout, nth_segment order by nth_reading
    )
)

select * from final
