{{ config(**incremental_by_date('report_day', 'int_procedure_day')) }}
with events as (
    select * from {{ ref('int_event_kap') }}
    where {{ is_in_batch('report_day') }}
),

procedures as (
    select * from {{ ref('int_procedure') }}
),

-- Pulses, beam and table from the report whose values count.
sent as (
    select * from {{ ref('stg_irradiation_event') }}
),

final as (
    select
        events.irradiation_event_uid,
        events.study_key,
        procedures.procedure_id,
        events.plane,
        case when events.event_type = 'ct_acquisition' then 'other' else events.event_type end as event_type,
        events.started_at,
        cast(events.duration_s as double) as duration_s,
        events.duration_source,
        cast(events.kap_gy_cm2 as double) as kap_gy_cm2,
        cast(events.ka_r_mgy as double) as ka_r_mgy,
        cast(events.kvp as double) as kvp,
        cast(events.primary_angle_deg as double) as primary_angle_deg,
        cast(events.secondary_angle_deg as double) as secondary_angle_deg,
        events.acquisition_protocol,
        cast(events.copper_filter_mm as double) as copper_filter_mm,
        cast(sent.number_of_pulses as double) as number_of_pulses,
        cast(sent.pulse_rate_per_s as double) as pulse_rate_per_s,
        cast(sent.pulse_width_ms as double) as pulse_width_ms,
        sent.fluoro_mode,
        cast(sent.tube_current_ma as double) as tube_current_ma,
        cast(sent.primary_end_angle_deg as double) as primary_end_angle_deg,
        cast(sent.secondary_end_angle_deg as double) as secondary_end_angle_deg,
        cast(sent.source_to_isocenter_mm as double) as source_to_isocenter_mm,
        cast(sent.source_to_detector_mm as double) as source_to_detector_mm,
        cast(sent.source_to_reference_point_mm as double) as source_to_reference_point_mm,
        sent.reference_point,
        cast(sent.table_longitudinal_mm as double) as table_longitudinal_mm,
        cast(sent.table_lateral_mm as double) as table_lateral_mm,
        cast(sent.table_height_mm as double) as table_height_mm,
        sent.patient_table_relationship,
        sent.patient_orientation,
        sent.patient_orientation_modifier,
        cast(sent.collimated_field_area_cm2 as double) as collimated_field_area_cm2,
        events.load_seq,
        events.report_day
    from events
    inner join sent on events.load_seq = sent.load_seq and events.event_no = sent.event_no
    left join procedures on events.study_key = procedures.study_key and events.room_id = procedures.room_id
)

select * from final
