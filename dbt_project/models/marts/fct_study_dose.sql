with studies as (
    select * from {{ ref('int_study_dose') }}
),

estimates as (
    select * from {{ ref('int_study_effective_dose') }}
),

final as (
    select
        studies.study_key,
        studies.study_instance_uid,
        studies.modality,
        studies.room_id,
        studies.patient_key,
        studies.patient_age_years,
        studies.study_date,
        studies.irradiation_events,
        cast(studies.kap_gy_cm2 as double) as kap_gy_cm2,
        cast(studies.ka_r_mgy as double) as ka_r_mgy,
        cast(studies.dlp_mgy_cm as double) as dlp_mgy_cm,
        cast(studies.ctdi_vol_mgy as double) as ctdi_vol_mgy,
        studies.ctdi_phantom,
        cast(studies.agd_mgy as double) as agd_mgy,
        cast(studies.agd_left_mgy as double) as agd_left_mgy,
        cast(studies.agd_right_mgy as double) as agd_right_mgy,
        cast(estimates.effective_dose_estimate_msv as double) as effective_dose_estimate_msv,
        estimates.effective_dose_method,
        estimates.estimate_gap
    from studies
    inner join estimates on studies.study_key = estimates.study_key
)

select * from final
