-- What an hourly total shows beyond the same badge's rate samples in its span, from any source.
-- One serial in two sources may be two badges (badge_key).
{{ config(**incremental_by_date('measured_date', 'int_hour_day')) }}
{% set hour_us = 3600000000 %}
with doses as not materialized (
    select * from {{ ref('int_dose_evidence') }}
),

hours as (
    select
        dose_key,
        measured_date,
        dosimeter_serial,
        badge_key,
        quantity,
        operator_id,
        worn_at,
        is_not_occupational,
        dose_usv,
        recorded_started_at as started_at,
        recorded_ended_at as ended_at
    from doses
    where
        layout = 'hourly_totals'
        and token is null
        and {{ is_in_batch('measured_date') }}
),

samples as (
    select
        badge_key,
        quantity,
        recorded_started_at as started_at,
        dose_usv
    from doses
    where
        layout = 'rate_samples'
        and token is null
        and badge_key in (select hours.badge_key from hours)
        and {{ is_input_of_batch('measured_date', 'measured_date', 'int_hour_day', 'reached_dates') }}
),

-- Once for each hour of UTC that it reaches into: an equi-join comes first, so that times are compared within it only.
utc_hours as (
    select
        dose_key,
        badge_key,
        quantity,
        started_at,
        ended_at,
        unnest(range(epoch_us(started_at) // {{ hour_us }}, (epoch_us(ended_at) - 1) // {{ hour_us }} + 1)) as utc_hour
    from hours
),

covered as (
    select
        utc_hours.dose_key,
        sum(samples.dose_usv) as sample_usv
    from samples
    inner join utc_hours
        on
            samples.badge_key = utc_hours.badge_key
            and samples.quantity = utc_hours.quantity
            and epoch_us(samples.started_at) // {{ hour_us }} = utc_hours.utc_hour
            and samples.started_at >= utc_hours.started_at
            and samples.started_at < utc_hours.ended_at
    group by utc_hours.dose_key
),

final as (
    select
        hours.dose_key,
        hours.measured_date,
        hours.dosimeter_serial,
        hours.badge_key,
        hours.quantity,
        hours.operator_id,
        hours.worn_at,
        hours.is_not_occupational,
        hours.dose_usv,
        cast(least(hours.dose_usv, coalesce(covered.sample_usv, 0)) as {{ dose_type() }}) as covered_usv
    from hours
    left join covered on hours.dose_key = covered.dose_key
)

select * from final
