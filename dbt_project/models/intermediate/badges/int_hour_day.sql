-- What the residuals of a day's hourly totals are made from: doses of every day that these totals reach over.
with hours as (
    select * from {{ ref('int_dose_evidence') }}
    where layout = 'hourly_totals' and token is null
),

dose_days as (
    select * from {{ ref('int_dose_day') }}
),

site as (
    select * from {{ ref('stg_site') }}
),

spans as (
    select
        hours.measured_date,
        least(
            hours.measured_date, {{ local_date('min(hours.recorded_started_at)', 'any_value(site.site_timezone)') }}
        ) as from_date,
        greatest(
            hours.measured_date, {{ local_date('max(hours.recorded_ended_at)', 'any_value(site.site_timezone)') }}
        ) as to_date
    from hours
    cross join site
    group by hours.measured_date
),

final as (
    select
        spans.measured_date,
        list(dose_days.measured_date order by dose_days.measured_date) as reached_dates,
        cast(sum(dose_days.n_rows) as bigint) as n_rows,
        cast(hash(list(dose_days.fingerprint order by dose_days.measured_date)) as hugeint) as fingerprint
    from spans
    inner join dose_days
        on spans.from_date <= dose_days.measured_date and spans.to_date >= dose_days.measured_date
    group by spans.measured_date
)

select * from final
