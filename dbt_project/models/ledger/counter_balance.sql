-- Two independent paths: what counters rose, from the highest reading of each segment; what was ingested, from the daily balance.
with readings as (
    select * from {{ ref('int_counter_reading') }}
),

balance as (
    select * from {{ ref('dose_balance') }}
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
        source_id,
        dosimeter_serial,
        quantity,
        {{ dose_sum('ingested_usv') }} as ingested_usv
    from balance
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
