-- Every export row with its place among the versions of the same measurement: the newest counts (contract, Repeats).
{{ config(**kept_by('record_date', 'int_record_day')) }}
with records as not materialized (
    select * from {{ ref('stg_dose_record') }}
    where {{ is_read_now('load_seq', 'record_date', 'int_record_day', 'load_seqs') }}
),

sources as (
    select * from {{ ref('stg_source') }}
),

site as (
    select * from {{ ref('stg_site') }}
),

-- By the minute, within which no date ends: the calendar is slow, and some sixty samples share its answer.
minutes as (
    select distinct {{ minute_of('started_at') }} as began_at
    from records
),

dated_minutes as (
    select
        minutes.began_at,
        site.site_timezone,
        {{ record_date('minutes.began_at', 'site.site_timezone') }} as record_date
    from minutes
    cross join site
),

-- In a doubled hour equal times are not repeats: the n-th of a file is the n-th of another export of it.
occurrences as (
    select
        load_seq,
        line,
        quantity,
        row_number() over (
            partition by load_seq, dosimeter_serial, quantity, layout, started_at order by line
        ) as occurrence
    from records
    where is_ambiguous
),

described as not materialized (
    select
        records.*,
        dated_minutes.site_timezone,
        dated_minutes.record_date,
        coalesce(sources.counter, 'increment') = 'cumulative' or records.layout = 'counter_log' as is_counter,
        coalesce(sources.records_when_idle, false) as records_when_idle,
        coalesce(sources.has_hubs, false) as source_has_hubs,
        coalesce(occurrences.occurrence, 1) as occurrence
    from records
    inner join dated_minutes on {{ minute_of('records.started_at') }} is not distinct from dated_minutes.began_at
    left join sources on records.source_id = sources.source_id
    left join occurrences
        on
            records.load_seq = occurrences.load_seq
            and records.line = occurrences.line
            and records.quantity = occurrences.quantity
    where {{ is_made_now('dated_minutes.record_date') }}
),

identified as not materialized (
    select
        *,
        hash(
            source_id,
            dosimeter_serial,
            quantity,
            layout,
            started_at,
            case when layout = 'badge_periods' then ended_at end,
            case when layout = 'procedure_totals' then coalesce(study_instance_uid, accession_number) end,
            is_ambiguous,
            occurrence
        ) as measurement_key
    from described
),

-- Most measurements come once: only the others are put in order.
repeated as (
    select measurement_key
    from identified
    group by measurement_key
    having count(*) > 1
),

versions as (
    select
        identified.load_seq,
        identified.line,
        identified.quantity,
        identified.measurement_key,
        hash(coalesce(cast(identified.value_usv as varchar), identified.token), identified.ended_at, identified.hub)
            as content_key
    from identified
    inner join repeated on identified.measurement_key = repeated.measurement_key
),

ranked as (
    select
        *,
        row_number() over newest_first = 1 as is_current,
        lead(content_key) over newest_first as previous_content_key
    from versions
    window newest_first as (partition by measurement_key order by load_seq desc, line desc)
),

final as (
    select
        identified.*,
        coalesce(ranked.is_current, true) as is_current,
        -- Its dose or its day follows from other rows too.
        coalesce(
            (identified.is_counter and identified.token is null)
            or identified.layout = 'badge_periods'
            or identified.started_at is null,
            true
        ) as is_derived,
        coalesce(ranked.previous_content_key != ranked.content_key, true) as is_news
    from identified
    left join ranked
        on
            identified.load_seq = ranked.load_seq
            and identified.line = ranked.line
            and identified.quantity = ranked.quantity
)

select * from final
