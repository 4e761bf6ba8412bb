-- What the residuals of a day's hourly totals are made from: doses of every day that these totals reach over.
with hours as (
    select * from {{ ref('int_dose_wearer') }}
    where layout = 'hourly_totals' and token is null
),

dose_days as (
    select * from {{ ref('int_dose_day') }}
),

spans as (
    select
        measured_date,
        least(measured_date, {{ local_date('min(started_at)', 'any_value(site_timezone)') }}) as from_date,
        greatest(measured_date, {{ local_date('max(ended_at)', 'any_value(site_timezone)') }}) as to_date
    from hours
    group by measured_date
),

final as (
    select
        spans.measured_date,
        list(dose_days.measured_date order by dose_days.measured_date) as reached_dates,
        cast(hash(list(dose_days.fingerprint order by dose_days.measured_date)) as hugeint) as fingerprint
    from spans
    inner join dose_days
        on spans.from_date <= dose_days.measured_date and spans.to_date >= dose_days.measured_date
    group by spans.measured_date
)

select * from final
