-- Two independent paths: what counters rose, from the highest reading of each segment; what was ingested, from where it went.
-- A source may hold doses of a former layout beside its counter's, from files that could not be read again.
with readings as (
    select * from {{ ref('int_counter_reading') }}
),

disposed_doses as (
    select * from {{ ref('int_disposed_dose') }}
),

segments as (
    select
        source_id,
        dosimeter_serial,
        quantity,
        layout,
        nth_segment,
        count(*) as n_readings,
        arg_min(value_usv, nth_reading) as first_usv,
        max(value_usv) - case when min(nth_reading) = 1 then first_usv else 0 end as rise_usv
    from readings
    group by all
),

counted as (
    select
        source_id,
        dosimeter_serial,
        quantity,
        cast(sum(n_readings) as bigint) as readings,
        arg_min(first_usv, nth_segment) as first_usv,
        count(*) as segments,
        {{ dose_sum('rise_usv') }} as segment_rise_usv
    from segments
    group by all
),

ingested as (
    select
        disposed_doses.source_id,
        disposed_doses.dosimeter_serial,
        disposed_doses.quantity,
        {{ dose_sum('disposed_doses.dose_usv') }} as ingested_usv
    from disposed_doses
    semi join segments
        on
            disposed_doses.source_id = segments.source_id
            and disposed_doses.dosimeter_serial = segments.dosimeter_serial
            and disposed_doses.quantity = segments.quantity
            and disposed_doses.layout = segments.layout
    group by all
),

final as (
    select
        counted.source_id,
        counted.dosimeter_serial,
        counted.quantity,
        counted.readings,
        counted.first_usv,
        counted.segments,
        counted.segment_rise_usv,
        cast(coalesce(ingested.ingested_usv, 0) as {{ dose_type() }}) as ingested_usv,
        cast(counted.segment_rise_usv - coalesce(ingested.ingested_usv, 0) as {{ dose_type() }}) as imbalance_usv
    from counted
    left join ingested
        on
            counted.source_id = ingested.source_id
            and counted.dosimeter_serial = ingested.dosimeter_serial
            and counted.quantity = ingested.quantity
)

select * from final
