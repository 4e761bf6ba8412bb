-- Every dose that counts, once: increments as exported, and the doses that other rows decide. This is what must be disposed of.
-- Up to as_of. A view, because nothing is decided here and a copy of all records would be the slowest step of a first night.
{{ config(materialized='view') }}
with increments as (
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
    from {{ ref('int_record_version') }}
    where is_current and not is_derived
),

derived as (
    select * from {{ ref('int_derived_dose') }}
),

together as (
    select * from increments
    union all
    select * from derived
),

final as (
    select
        *,
        {{ dose_key('load_seq', 'line', 'quantity') }} as dose_key
    from together
    where measured_date <= {{ as_of() }}
)

select * from final
