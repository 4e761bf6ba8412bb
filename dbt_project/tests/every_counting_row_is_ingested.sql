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

dates as (
    select distinct measured_date
    from balance
    where {{ is_untested('int_disposition', 'measured_date') }}
    union
    select coalesce(records.period_end_date, {{ local_date('records.started_at', zone) }}) as measured_date
    from records
    inner join files on records.load_seq = files.load_seq
    cross join last_success
    where files.first_seen_at > coalesce(last_success.started_at, '-infinity')
),

-- A local date lies on three dates of UTC at most: only records of these are asked for their local date.
utc_days as (
    select distinct unnest([days_since - 1, days_since, days_since + 1]) as utc_day
    from (select date_diff('day', date '1970-01-01', measured_date) as days_since from dates) as epoch_days
),

increments as (
    select
        records.*,
        coalesce(records.period_end_date, {{ local_date('records.started_at', zone) }}) as measured_date
    from records
    inner join sources on records.source_id = sources.source_id
    where
        (
            records.layout in ('rate_samples', 'sessions', 'badge_periods')
            or (records.layout = 'hourly_totals' and sources.counter = 'increment')
        )
        and (records.layout = 'badge_periods' or records.utc_day in (select utc_days.utc_day from utc_days))
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
    group by
        dosimeter_serial,
        quantity,
        layout,
        started_at,
        case when layout = 'badge_periods' then ended_at end
),

counted as (
    select
        counting.source_id,
        dosimeter_serial,
        quantity,
        counting.measured_date,
        {{ dose_sum('counting.value_usv') }} as counted_usv
    from newest
    where
        counting.measured_date <= {{ as_of() }}
        and counting.measured_date in (select dates.measured_date from dates)
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
