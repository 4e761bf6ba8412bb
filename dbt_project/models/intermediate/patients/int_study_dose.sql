-- One study with its dose over all rooms and planes, exact: what patients' sums and estimates start from.
with studies as (
    select * from {{ ref('int_study') }}
),

study_rooms as (
    select * from {{ ref('int_study_room') }}
),

study_classes as (
    select * from {{ ref('int_study_class') }}
),

totals as (
    select * from {{ ref('int_study_total') }}
),

kap_factors as (
    select * from {{ ref('int_kap_factor') }}
),

events as (
    select * from {{ ref('int_event') }}
),

values_of_study as (
    select
        totals.study_key,
        sum(cast(totals.total_value as decimal(26, 12)) * kap_factors.kap_factor) filter (
            where totals.quantity = 'kap'
        ) as kap_gy_cm2,
        max(totals.total_value) filter (where totals.quantity = 'ka_r') as ka_r_mgy,
        sum(totals.total_value) filter (where totals.quantity = 'dlp') as dlp_mgy_cm,
        sum(totals.total_value) filter (where totals.quantity = 'agd_left') as agd_left_mgy,
        sum(totals.total_value) filter (where totals.quantity = 'agd_right') as agd_right_mgy
    from totals
    inner join kap_factors
        on
            totals.study_key = kap_factors.study_key
            and totals.room_id = kap_factors.room_id
            and totals.plane = kap_factors.plane
    group by totals.study_key
),

highest_ctdi as (
    select
        study_key,
        ctdi_vol_mgy,
        ctdi_phantom
    from events
    where ctdi_vol_mgy is not null
    qualify row_number() over (partition by study_key order by ctdi_vol_mgy desc, irradiation_event_uid asc) = 1
),

-- A study in two rooms is shown in the one where it began.
first_rooms as (
    select *
    from study_rooms
    qualify row_number() over (partition by study_key order by started_at nulls last, room_id) = 1
),

final as (
    select
        studies.study_key,
        studies.site_id,
        studies.study_instance_uid,
        studies.study_name,
        studies.modality,
        first_rooms.room_id,
        studies.patient_key,
        studies.patient_age_years,
        first_rooms.study_date,
        first_rooms.started_at,
        study_classes.procedure_type,
        study_classes.specialty as procedure_specialty,
        studies.irradiation_events,
        values_of_study.kap_gy_cm2,
        values_of_study.ka_r_mgy,
        values_of_study.dlp_mgy_cm,
        highest_ctdi.ctdi_vol_mgy,
        highest_ctdi.ctdi_phantom,
        greatest(values_of_study.agd_left_mgy, values_of_study.agd_right_mgy) as agd_mgy,
        values_of_study.agd_left_mgy,
        values_of_study.agd_right_mgy
    from studies
    inner join first_rooms on studies.study_key = first_rooms.study_key
    inner join study_classes on studies.study_key = study_classes.study_key
    left join values_of_study on studies.study_key = values_of_study.study_key
    left join highest_ctdi on studies.study_key = highest_ctdi.study_key
)

select * from final
