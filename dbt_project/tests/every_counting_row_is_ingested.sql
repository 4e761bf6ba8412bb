{{ config(meta={'dagster': {'ref': {'name': 'dose_balance'}}}) }}

-- The ledger's ingested dose against the parsed rows themselves, past every model between: a row is a source, badge and
-- date whose newest rows sum to something else. Looked at are dates that no build that succeeded has made, and those of
-- files that came since then, whatever the models took for touched. Counters (their steps are no sums of rows), totals by
-- study (they may have no date) and doubled hours (equal times are two measurements) are left to the tests of their models.
{#- As one value: as a column it would cost the calendar seven times more. -#}
{%- set zone = '(select site_timezone from ' ~ ref('stg_site') ~ ')' %}
with records as (
    select
        *,
        epoch_us(started_at) // 86400000000 as utc_day
    from {{ ref('stg_dose_record') }}
),

sources as (
    select * from {{ ref('stg_source') }}
),

files as (
    select * from {{ ref('stg_file') }}
),

balance as (
    select * from {{ ref('dose_balance') }}
),

last_success as (
    select max(started_at) as started_at
    from ops.build
    where succeeded
),

-- Their times by the minute, within which no date ends: millions of instants would keep the calendar busy for long.
new_minutes as (
    select distinct
        records.period_end_date,
        make_timestamptz(epoch_us(records.started_at) // 60000000 * 60000000) as began_at
    from records
    inner join files on records.load_seq = files.load_seq
    cross join last_success
    where files.first_seen_at > coalesce(last_success.started_at, '-infinity')
),

dates as (
    select distinct measured_date
    from balance
    where {{ is_untested('int_disposition', 'measured_date') }}
    union
    select coalesce(period_end_date, {{ local_date('began_at', zone) }}) as measured_date
    from new_minutes
),

-- A local date lies on three dates of UTC at most: only records of these are asked for their local date.
utc_days as (
    select distinct unnest([days_since - 1, days_since, days_since + 1]) as utc_day
    from (select date_diff('day', date '1970-01-01', measured_date) as days_since from dates) as epoch_days
),

increments as (
    select
        records.*,
        coalesce(records.period_end_date, {{ local_date('records.started_at', zone) }}) as measured_date,
        hash(
            records.dosimeter_serial,
            records.quantity,
            records.layout,
            records.started_at,
            case when records.layout = 'badge_periods' then records.ended_at end
        ) as measurement_key
    from records
    inner join sources on records.source_id = sources.source_id
    where
        (
            records.layout in ('rate_samples', 'sessions', 'badge_periods')
            or (records.layout = 'hourly_totals' and sources.counter = 'increment')
        )
        and (records.layout = 'badge_periods' or records.utc_day in (select utc_days.utc_day from utc_days))
),

-- Most measurements come once: the newest of the others is looked for among them only.
repeated as (
    select measurement_key
    from increments
    group by measurement_key
    having count(*) > 1
),

newest as (
    select
        dosimeter_serial,
        quantity,
        layout,
        arg_max(
            struct_pack(source_id := source_id, measured_date := measured_date, value_usv := value_usv),
            row(load_seq, line)
        ) as counting,
        bool_or(is_ambiguous) as is_ambiguous
    from increments
    where measurement_key in (select repeated.measurement_key from repeated)
    group by
        dosimeter_serial,
        quantity,
        layout,
        started_at,
        case when layout = 'badge_periods' then ended_at end
),

counting_rows as (
    select
        counting.source_id,
        dosimeter_serial,
        quantity,
        counting.measured_date,
        counting.value_usv,
        is_ambiguous
    from newest
    union all
    select
        increments.source_id,
        increments.dosimeter_serial,
        increments.quantity,
        increments.measured_date,
        increments.value_usv,
        increments.is_ambiguous
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
    where
        measured_date <= {{ as_of() }}
        and measured_date in (select dates.measured_date from dates)
    group by all
    having not bool_or(is_ambiguous)
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
