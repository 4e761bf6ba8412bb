-- Doses whose size or day other rows decide: steps between the readings of a counter, badge periods, vendors' totals that
-- state no time.
with versions as (
    select * from {{ ref('int_record_version') }}
    where is_current and is_derived
),

readings as (
    select * from {{ ref('int_counter_reading') }}
),

files as (
    select * from {{ ref('stg_file') }}
),

study_dates as (
    select
        study_instance_uid,
        accession_number,
        procedure_date
    from {{ ref('int_procedure') }}
),

-- A vendor's total may state no time: then its study's date counts, else the day on which it came.
untimed as (
    select
        versions.load_seq,
        versions.line,
        versions.quantity,
        coalesce(
            min(study_dates.procedure_date),
            {{ local_date('any_value(files.first_seen_at)', 'any_value(versions.site_timezone)') }}
        ) as measured_date
    from versions
    inner join files on versions.load_seq = files.load_seq
    left join study_dates
        on
            versions.study_instance_uid = study_dates.study_instance_uid
            or (versions.study_instance_uid is null and versions.accession_number = study_dates.accession_number)
    where versions.started_at is null
    group by versions.load_seq, versions.line, versions.quantity
),

totals as (
    select
        versions.load_seq,
        versions.line,
        versions.source_id,
        versions.layout,
        versions.dosimeter_serial,
        versions.quantity,
        versions.value_usv as dose_usv,
        versions.token,
        versions.started_at,
        versions.ended_at,
        versions.is_ambiguous,
        versions.hub,
        versions.peak_rate_usv_per_h,
        versions.study_instance_uid,
        versions.accession_number,
        versions.period_begin_date,
        versions.period_end_date,
        versions.source_has_hubs,
        versions.records_when_idle,
        versions.site_timezone,
        case
            when versions.layout = 'badge_periods' then versions.period_end_date else untimed.measured_date
        end as measured_date,
        false as is_gap
    from versions
    left join untimed
        on
            versions.load_seq = untimed.load_seq
            and versions.line = untimed.line
            and versions.quantity = untimed.quantity
    where untimed.load_seq is not null or versions.layout = 'badge_periods'
),

steps as (
    select
        load_seq,
        line,
        source_id,
        layout,
        dosimeter_serial,
        quantity,
        step_usv as dose_usv,
        cast(null as varchar) as token,
        previous_at as started_at,
        read_at as ended_at,
        is_ambiguous or is_previous_ambiguous as is_ambiguous,
        hub,
        peak_rate_usv_per_h,
        cast(null as varchar) as study_instance_uid,
        cast(null as varchar) as accession_number,
        cast(null as date) as period_begin_date,
        cast(null as date) as period_end_date,
        source_has_hubs,
        records_when_idle,
        site_timezone,
        measured_date,
        layout = 'hourly_totals' and previous_at < started_at as is_gap
    from readings
    where nth_reading > 1
),

together as (
    select * from totals
    union all
    select * from steps
),

final as (
    select * from together
    where measured_date <= {{ as_of() }}
)

select * from final
