-- Every export row in force with its place among the rows that state the same measurement (contract, section 1): the newest
-- file decides, and of its rows the highest value counts.
{{ config(**incremental_by_date('record_date', 'int_record_day')) }}
with records as not materialized (
    select * from {{ ref('stg_dose_record') }}
    where {{ is_input_of_batch('load_seq', 'record_date', 'int_record_day', 'load_seqs') }}
),

readings as (
    select * from {{ ref('int_file_reading') }}
),

sources as (
    select * from {{ ref('stg_source') }}
),

site as (
    select * from {{ ref('stg_site') }}
),

procedures as (
    select
        study_instance_uid,
        accession_number,
        procedure_date
    from {{ ref('int_procedure') }}
),

-- By the minute, within which no date ends: the calendar is slow, and some sixty samples share its answer.
minutes as (
    select distinct {{ dating_minute('started_at', 'layout') }} as began_at
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

-- A total by study that states no time is of its study's date, else of the day on which it came.
total_dates as (
    select
        records.load_seq,
        records.line,
        records.quantity,
        coalesce(
            {{ local_date('any_value(records.started_at)', 'any_value(site.site_timezone)') }},
            min(procedures.procedure_date),
            {{ local_date('any_value(readings.first_seen_at)', 'any_value(site.site_timezone)') }}
        ) as measured_date
    from records
    cross join site
    inner join readings on records.load_seq = readings.load_seq
    left join procedures
        on
            records.study_instance_uid = procedures.study_instance_uid
            or (records.study_instance_uid is null and records.accession_number = procedures.accession_number)
    where records.layout = 'procedure_totals'
    group by records.load_seq, records.line, records.quantity
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
    where is_start_doubled
),

described as not materialized (
    select
        records.*,
        dated_minutes.site_timezone,
        dated_minutes.record_date,
        case records.layout
            when 'badge_periods' then records.period_end_date
            when 'procedure_totals' then total_dates.measured_date
            else dated_minutes.record_date
        end as measured_date,
        coalesce(sources.counter, 'increment') = 'cumulative' or records.layout = 'counter_log' as is_counter,
        coalesce(sources.records_when_idle, false) as records_when_idle,
        coalesce(sources.has_hubs, false) as source_has_hubs,
        coalesce(occurrences.occurrence, 1) as occurrence
    from records
    inner join dated_minutes
        on {{ dating_minute('records.started_at', 'records.layout') }} is not distinct from dated_minutes.began_at
    left join sources on records.source_id = sources.source_id
    left join total_dates
        on
            records.load_seq = total_dates.load_seq
            and records.line = total_dates.line
            and records.quantity = total_dates.quantity
    left join occurrences
        on
            records.load_seq = occurrences.load_seq
            and records.line = occurrences.line
            and records.quantity = occurrences.quantity
    where {{ is_in_batch('dated_minutes.record_date') }}
),

-- Totals of a study may be of several days: those after as_of do not compete with those before it.
identified as not materialized (
    select
        *,
        hash(
            {{ measured_in('layout', 'source_has_hubs', 'source_id') }},
            dosimeter_serial,
            quantity,
            layout,
            case when layout != 'procedure_totals' then started_at end,
            case when layout = 'badge_periods' then period_end_date end,
            case when layout = 'procedure_totals' then coalesce(study_instance_uid, accession_number) end,
            case when layout = 'procedure_totals' then measured_date > {{ as_of() }} end,
            is_start_doubled,
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
        identified.value_usv,
        identified.source_id,
        identified.hub,
        readings.order_seq,
        hash(identified.value_usv, identified.ended_at, identified.hub) as content_key
    from identified
    inner join repeated on identified.measurement_key = repeated.measurement_key
    inner join readings on identified.load_seq = readings.load_seq
),

-- Below detection has no value and is lower than any.
compared as (
    select
        *,
        row_number() over by_rank as nth,
        first_value(value_usv) over by_rank as counted_usv,
        first_value(source_id) over by_rank as counted_source_id,
        first_value(hub) over by_rank as counted_hub,
        max(value_usv) over (partition by measurement_key, order_seq) as highest_of_file_usv,
        max(order_seq) over (
            partition by measurement_key
            order by order_seq
            range between unbounded preceding and 1 preceding
        ) as file_before,
        max(order_seq) over (
            partition by measurement_key, content_key
            order by order_seq
            range between unbounded preceding and 1 preceding
        ) as file_before_with_same
    from versions
    window by_rank as (partition by measurement_key order by order_seq desc, value_usv desc nulls last, line asc)
),

decided as (
    select
        *,
        case
            when nth = 1 then 'counted'
            when (value_usv is not distinct from counted_usv) then 'repeated'
            when (value_usv is distinct from highest_of_file_usv) then 'conflicting'
            else 'replaced'
        end as row_disposition,
        (file_before is null or file_before_with_same is distinct from file_before) as is_news
    from compared
),

-- One measurement that several hubs of a source received.
received as (
    select
        measurement_key,
        list(distinct hub order by hub) as other_hubs
    from decided
    where row_disposition = 'repeated' and source_id = counted_source_id and hub != coalesce(counted_hub, '')
    group by measurement_key
),

final as (
    select
        identified.*,
        coalesce(decided.row_disposition, 'counted') as row_disposition,
        coalesce(decided.row_disposition, 'counted') = 'counted' as is_current,
        -- Its dose or its day follows from other rows too.
        (identified.is_counter and identified.token is null)
        or identified.layout in ('badge_periods', 'procedure_totals') as is_derived,
        coalesce(decided.is_news, true) as is_news,
        received.other_hubs
    from identified
    left join decided
        on
            identified.load_seq = decided.load_seq
            and identified.line = decided.line
            and identified.quantity = decided.quantity
    left join received
        on
            identified.measurement_key = received.measurement_key
            and decided.row_disposition = 'counted'
)

select * from final
