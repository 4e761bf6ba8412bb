-- What an hourly total shows beyond the same badge's rate samples in its span, whatever source these came through.
{{ config(**kept_by('measured_date', 'int_hour_day')) }}
with doses as (
    select * from {{ ref('int_dose') }}
),

hours as (
    select
        dose_key,
        measured_date,
        dosimeter_serial,
        quantity,
        dose_usv,
        started_at,
        ended_at
    from doses
    where
        layout = 'hourly_totals'
        and token is null
        and {{ is_made_now('measured_date', 'measured_date', 'int_hour_day') }}
),

samples as (
    select
        dosimeter_serial,
        quantity,
        started_at,
        dose_usv
    from doses
    where
        layout = 'rate_samples'
        and token is null
        and {{ is_read_now('measured_date', 'measured_date', 'int_hour_day', 'reached_dates') }}
),

-- Running sums and two as-of joins: the sum over any span is the difference of two rows.
running as (
    select
        dosimeter_serial,
        quantity,
        started_at,
        cast(
            sum(dose_usv) over (partition by dosimeter_serial, quantity order by started_at) as {{ dose_type() }}
        ) as sum_usv
    from samples
),

before_start as (
    select
        hours.dose_key,
        running.sum_usv
    from hours
    asof left join running
        on
            hours.dosimeter_serial = running.dosimeter_serial
            and hours.quantity = running.quantity
            and hours.started_at > running.started_at
),

before_end as (
    select
        hours.dose_key,
        running.sum_usv
    from hours
    asof left join running
        on
            hours.dosimeter_serial = running.dosimeter_serial
            and hours.quantity = running.quantity
            and hours.ended_at > running.started_at
),

final as (
    select
        hours.dose_key,
        hours.measured_date,
        hours.dose_usv,
        least(
            hours.dose_usv, coalesce(before_end.sum_usv, 0) - coalesce(before_start.sum_usv, 0)
        ) as covered_usv
    from hours
    inner join before_start on hours.dose_key = before_start.dose_key
    inner join before_end on hours.dose_key = before_end.dose_key
)

select * from final
