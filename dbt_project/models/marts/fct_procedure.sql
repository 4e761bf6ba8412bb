with procedures as (
    select * from {{ ref('int_procedure') }}
),

c_arm_doses as (
    select * from {{ ref('int_c_arm_dose') }}
),

offsets as (
    select * from {{ ref('int_clock_offset') }}
),

final as (
    select
        procedures.procedure_id,
        procedures.site_id,
        procedures.room_id,
        procedures.study_instance_uid,
        procedures.accession_number,
        procedures.patient_key,
        procedures.patient_age_years,
        procedures.patient_sex,
        procedures.procedure_type,
        procedures.procedure_description,
        procedures.specialty,
        procedures.started_at,
        procedures.ended_at,
        procedures.procedure_date,
        procedures.irradiation_events,
        cast(procedures.kap_gy_cm2 as double) as kap_gy_cm2,
        procedures.kap_source,
        cast(procedures.kap_event_sum_gy_cm2 as double) as kap_event_sum_gy_cm2,
        cast(procedures.kap_fluoro_gy_cm2 as double) as kap_fluoro_gy_cm2,
        cast(procedures.kap_acquisition_gy_cm2 as double) as kap_acquisition_gy_cm2,
        procedures.is_kap_calibrated,
        cast(procedures.ka_r_mgy as double) as ka_r_mgy,
        cast(procedures.ka_r_plane_a_mgy as double) as ka_r_plane_a_mgy,
        cast(procedures.ka_r_plane_b_mgy as double) as ka_r_plane_b_mgy,
        cast(procedures.fluoro_time_s as double) as fluoro_time_s,
        cast(procedures.radiographic_frames as bigint) as radiographic_frames,
        cast(procedures.kap_reported_gy_cm2 as double) as kap_reported_gy_cm2,
        cast(procedures.kap_reported_fluoro_gy_cm2 as double) as kap_reported_fluoro_gy_cm2,
        cast(procedures.kap_reported_acquisition_gy_cm2 as double) as kap_reported_acquisition_gy_cm2,
        cast(c_arm_doses.c_arm_dose_usv as double) as c_arm_dose_usv,
        cast(offsets.offset_s as double) as clock_offset_s,
        case
            when offsets.offset_method in ('cross_correlation', 'declared') then 'high'
            when offsets.offset_method = 'carried' then 'low'
            else 'unknown'
        end as clock_confidence
    from procedures
    left join c_arm_doses on procedures.procedure_id = c_arm_doses.procedure_id
    left join offsets on procedures.room_id = offsets.room_id and procedures.procedure_date = offsets.offset_date
)

select * from final
