with source as (
    select * from {{ source('raw', 'irradiation_event') }}
),

renamed as (
    select
        load_seq,
        event_no,
        event_uid as irradiation_event_uid,
        plane,
        event_type,
        started_local,
        utc_offset_min,
        time_rule,
        duration_s as stated_duration_s,
        number_of_pulses,
        pulse_rate_per_s,
        pulse_width_ms,
        fluoro_mode,
        kap_gy_cm2 as reported_kap_gy_cm2,
        ka_r_mgy,
        kvp,
        tube_current_ma,
        primary_angle_deg,
        secondary_angle_deg,
        primary_end_angle_deg,
        secondary_end_angle_deg,
        source_to_isocenter_mm,
        source_to_detector_mm,
        source_to_reference_point_mm,
        reference_point,
        table_longitudinal_mm,
        table_lateral_mm,
        table_height_mm,
        patient_table_relationship,
        patient_orientation,
        patient_orientation_modifier,
        patient_equivalent_thickness_mm,
        copper_filter_mm,
        collimated_field_area_cm2,
        acquisition_protocol,
        target_region,
        dlp_mgy_cm,
        ctdi_vol_mgy,
        ctdi_phantom,
        agd_mgy,
        laterality,
        has_breast_item
    from source
)

select * from renamed
