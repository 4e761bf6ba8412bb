-- Doses whose size or day other rows decide: steps between the readings of a counter, badge periods, totals by study.
with versions as (
    select * from {{ ref('int_record_version') }}
    where is_current and is_derived
),

readings as (
    select * from {{ ref('int_counter_reading') }}
),

totals as (
    select
        load_seq,
        line,
        source_id,
        layout,
        dosimeter_serial,
        quantity,
        value_usv as dose_usv,
        token,
        started_at,
        ended_at,
        is_ambiguous,
        hub,
        other_hubs,
        peak_rate_usv_per_h,
        study_instance_uid,
        accession_number,
        period_begin_date,
        period_end_date,
        source_has_hubs,
        records_when_idle,
        site_timezone,
        measured_date,
        false as is_gap
    from versions
    where layout in ('badge_periods', 'procedure_totals')
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
        other_hubs,
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
