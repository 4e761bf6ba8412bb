-- Which badges have records of which days in which source, by the records that count.
{{ config(**incremental_by_date('record_date', 'int_record_day')) }}
with versions as not materialized (
    select * from {{ ref('int_record_version') }}
    where is_current and {{ is_in_batch('record_date') }}
),

-- Sessions and results of passive badges may be of several days.
spans as (
    select distinct
        record_date,
        source_id,
        layout,
        dosimeter_serial,
        case
            when layout = 'badge_periods' then period_begin_date
            when started_at is not null then measured_date
        end as from_date,
        case
            when layout = 'badge_periods' then period_end_date
            when layout = 'sessions' then {{ local_date('ended_at', 'site_timezone') }}
            when started_at is not null then measured_date
        end as to_date
    from versions
),

final as (
    select * from spans
)

select * from final
