-- Where dose of a badge went on a day, summed: rows of int_disposition that differ only in their times and sizes. Facts,
-- months and findings are summed from here.
{{ config(**incremental_by_date('measured_date', 'int_disposition_day')) }}
with dispositions as (
    select * from {{ ref('int_disposition') }}
    where {{ is_in_batch('measured_date') }}
),

final as (
    select
        measured_date,
        source_id,
        layout,
        dosimeter_serial,
        badge_key,
        quantity,
        operator_id,
        worn_at,
        c_arm_room_id,
        evident_room_id,
        disposition,
        reason,
        procedure_id,
        irradiation_event_uid,
        is_clock_known,
        count(*) as n_records,
        {{ dose_sum('dose_usv') }} as dose_usv,
        max(dose_usv) as highest_dose_usv,
        max(peak_rate_usv_per_h) as peak_rate_usv_per_h
    from dispositions
    group by all
)

select * from final
