{{ config(meta={'dagster': {'ref': {'name': 'dose_balance'}}}) }}

-- The ledger's ingested dose against the parsed rows themselves, past every model between: a row is a source, badge and
-- date whose counting rows (of the newest file in force the highest of each measurement) sum to something else. Tested are
-- dates that no successful build has built, and those of files that came since then, independent of what the models took for stale. Counters (their steps are no sums of rows), totals by
-- study (they may have no date) and doubled hours (equal times are two measurements) are left to the tests of their models.
with stated as (
    select * from {{ ref('stg_dose_record') }}
),

readings as (
    select * from {{ ref('int_file_reading') }}
    where reading_state = 'loaded'
),

records as not materialized (
    select
        stated.*,
        readings.order_seq,
        {{ minute_of('stated.started_at') }} as began_at
    from stated
    inner join readings on stated.load_seq = readings.load_seq
),

sources as (
    select * from {{ ref('stg_source') }}
),

files as (
    select * from {{ ref('stg_file') }}
),

site as (
    select * from {{ ref('stg_site') }}
),

balance as (
    select * from {{ ref('dose_balance') }}
),

last_success as (
    select coalesce(arg_max(started_at, build_no), '-infinity') as started_at  -- a clock may go back
    from ops.build
    where succeeded
),

new_files as (
    select files.load_seq
    from files
    inner join last_success on files.first_seen_at > last_success.started_at
),

-- Between which dates the rows of a file lie. In UTC and a day further: no local date is further from it.
file_spans as (
    select
        records.load_seq,
        least(min(records.period_end_date), cast(min(records.started_at) as date) - 1) as from_date,
        greatest(max(records.period_end_date), cast(max(records.started_at) as date) + 1) as to_date
    from records
    group by records.load_seq
),

dates as (
    select distinct measured_date
    from balance
    where {{ is_untested('int_disposition', 'measured_date') }}
    union
    select cast(unnest(range(file_spans.from_date, file_spans.to_date + 1, interval 1 day)) as date) as measured_date
    from file_spans
    inner join new_files on file_spans.load_seq = new_files.load_seq
),

-- Files that may have rows of these dates: others are not even read.
checked_files as (
    select distinct file_spans.load_seq
    from file_spans
    inner join dates on file_spans.from_date <= dates.measured_date and file_spans.to_date >= dates.measured_date
),

checked_records as not materialized (
    select records.*
    from records
    inner join checked_files on records.load_seq = checked_files.load_seq
),

-- Times by the minute, within which no date ends: millions of instants would keep the calendar busy for long.
minutes as (
    select distinct
        period_end_date,
        began_at
    from checked_records
),

checked_minutes as (
    select
        minutes.period_end_date,
        minutes.began_at,
        dates.measured_date
    from minutes
    cross join site
    inner join dates
        on
            dates.measured_date
            = coalesce(minutes.period_end_date, {{ local_date('minutes.began_at', 'site.site_timezone') }})
    where dates.measured_date <= {{ as_of() }}
),

increments as (
    select
        checked_records.*,
        checked_minutes.measured_date,
        {{ measured_in('checked_records.layout', 'sources.has_hubs', 'checked_records.source_id') }} as measured_in,
        hash(
            {{ measured_in('checked_records.layout', 'sources.has_hubs', 'checked_records.source_id') }},
            checked_records.dosimeter_serial,
            checked_records.quantity,
            checked_records.layout,
            checked_records.started_at,
            case when checked_records.layout = 'badge_periods' then checked_records.period_end_date end
        ) as measurement_key
    from checked_records
    inner join checked_minutes
        on
            checked_records.began_at is not distinct from checked_minutes.began_at
            and checked_records.period_end_date is not distinct from checked_minutes.period_end_date
    inner join sources on checked_records.source_id = sources.source_id
    where
        checked_records.layout in ('rate_samples', 'sessions', 'badge_periods')
        or (checked_records.layout = 'hourly_totals' and sources.counter = 'increment')
),

-- Most measurements come once: only the others are compared.
repeated as (
    select measurement_key
    from increments
    group by measurement_key
    having count(*) > 1
),

compared as (
    select
        dosimeter_serial,
        quantity,
        measured_date,
        arg_max(
            struct_pack(source_id := source_id, value_usv := value_usv), row(order_seq, coalesce(value_usv, -1))
        ) as counting,
        bool_or(is_start_doubled) as is_start_doubled
    from increments
    where measurement_key in (select repeated.measurement_key from repeated)
    group by
        measured_in,
        dosimeter_serial,
        quantity,
        layout,
        measured_date,
        started_at
),

counting_rows as (
    select
        counting.source_id,
        dosimeter_serial,
        quantity,
        measured_date,
        counting.value_usv,
        is_start_doubled
    from compared
    union all
    select
        increments.source_id,
        increments.dosimeter_serial,
        increments.quantity,
        increments.measured_date,
        increments.value_usv,
        increments.is_start_doubled
    from increments
    anti join repeated on increments.measurement_key = repeated.measurement_key
),

counted as (
    select
        source_id,
        dosimeter_serial,
        quantity,
        measured_date,
        {{ dose_sum('value_usv') }} as counted_usv
    from counting_rows
    group by all
    having not bool_or(is_start_doubled)
),

final as (
    select
        counted.*,
        balance.ingested_usv
    from counted
    left join balance
        on
            counted.source_id = balance.source_id
            and counted.dosimeter_serial = balance.dosimeter_serial
            and counted.quantity = balance.quantity
            and counted.measured_date = balance.measured_date
    where counted.counted_usv is distinct from balance.ingested_usv
)

select * from final
