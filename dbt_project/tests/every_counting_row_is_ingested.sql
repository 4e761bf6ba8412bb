{{ config(meta={'dagster': {'ref': {'name': 'dose_balance'}}}) }}

-- The ledger's ingested dose against the parsed rows themselves, past every model between: a row is a source and badge
-- whose newest rows sum to something else. Counters (their steps are no sums of rows), totals by study (they may have no
-- date) and doubled hours (equal times are two measurements) are left to the tests of their models.
with records as (
    select * from {{ ref('stg_dose_record') }}
),

sources as (
    select * from {{ ref('stg_source') }}
),

site as (
    select * from {{ ref('stg_site') }}
),

balance as (
    select * from {{ ref('dose_balance') }}
),

increments as (
    select
        records.*,
        coalesce(
            records.period_end_date, {{ local_date('records.started_at', 'site.site_timezone') }}
        ) as measured_date
    from records
    inner join sources on records.source_id = sources.source_id
    cross join site
    where
        records.layout in ('rate_samples', 'sessions', 'badge_periods')
        or (records.layout = 'hourly_totals' and sources.counter = 'increment')
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
        {{ dose_sum('counting.value_usv') }} as counted_usv
    from newest
    where counting.measured_date <= {{ as_of() }}
    group by all
    having not bool_or(is_ambiguous)
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
        counted.*,
        ingested.ingested_usv
    from counted
    left join ingested
        on
            counted.source_id = ingested.source_id
            and counted.dosimeter_serial = ingested.dosimeter_serial
            and counted.quantity = ingested.quantity
    where counted.counted_usv is distinct from ingested.ingested_usv
)

select * from final
