-- The calendar of the publication: from the first of January before the first procedure or dose to the end of as_of's year.
with procedures as (
    select procedure_date as known_date from {{ ref('int_procedure') }}
),

studies as (
    select study_date as known_date from {{ ref('int_study_dose') }}
),

doses as (
    select measured_date as known_date from {{ ref('int_badge_hour') }}
),

known_dates as (
    select * from procedures
    union all
    select * from studies
    union all
    select * from doses
),

span as (
    select
        cast(date_trunc('year', coalesce(min(known_date), {{ as_of() }})) as date) as first_date,
        cast(date_trunc('year', {{ as_of() }}) + interval '1 year' as date) - 1 as last_date
    from known_dates
),

days as (
    select cast(unnest(generate_series(first_date, last_date, interval '1 day')) as date) as calendar_date
    from span
),

final as (
    select
        calendar_date,
        year(calendar_date) as year,
        cast(date_trunc('quarter', calendar_date) as date) as quarter,
        cast(date_trunc('month', calendar_date) as date) as month,
        cast(date_trunc('week', calendar_date) as date) as week,
        year(calendar_date) || '-Q' || quarter(calendar_date) as quarter_name,
        strftime(calendar_date, '%Y-%m') as month_name,
        isoyear(calendar_date) || '-W' || lpad(cast(weekofyear(calendar_date) as varchar), 2, '0') as week_name,
        isodow(calendar_date) as day_of_week,
        calendar_date <= {{ as_of() }} as is_past
    from days
)

select * from final
