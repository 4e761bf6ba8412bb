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
        kap_gy_cm2 as reported_kap_gy_cm2,
        ka_r_mgy,
        kvp,
        primary_angle_deg,
        secondary_angle_deg,
        copper_filter_mm,
        acquisition_protocol,
        target_region,
        dlp_mgy_cm,
        ctdi_vol_mgy,
        ctdi_phantom,
        agd_mgy,
        laterality,
        has_breast_compression
    from source
)

select * from renamed
