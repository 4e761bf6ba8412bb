-- One fluoroscopically guided procedure: an XA study in a room, with its span by the modality's clock and its totals.
with studies as (
    select * from {{ ref('int_study') }}
    where modality = 'XA'
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

rooms as (
    select * from {{ ref('stg_room') }}
),

calibrated as (
    select
        totals.study_key,
        totals.room_id,
        totals.plane,
        totals.quantity,
        totals.total_source,
        kap_factors.is_kap_calibrated,
        case when totals.quantity like 'kap%' then kap_factors.kap_factor else 1 end as factor,
        totals.total_value as reported_value,
        cast(totals.total_value as decimal(26, 12)) * factor as total_value,
        cast(totals.event_sum_value as decimal(26, 12)) * factor as event_sum_value
    from totals
    inner join kap_factors
        on
            totals.study_key = kap_factors.study_key
            and totals.room_id = kap_factors.room_id
            and totals.plane = kap_factors.plane
),

summed as (
    select
        study_key,
        room_id,
        sum(total_value) filter (where quantity = 'kap') as kap_gy_cm2,
        -- Accumulated only if every plane's value is: one source name for one number.
        case
            when bool_and(total_source = 'accumulated') filter (where quantity = 'kap') then 'accumulated'
            when count(*) filter (where quantity = 'kap') > 0 then 'events'
        end as kap_source,
        sum(event_sum_value) filter (where quantity = 'kap') as kap_event_sum_gy_cm2,
        sum(total_value) filter (where quantity = 'kap_fluoro') as kap_fluoro_gy_cm2,
        sum(total_value) filter (where quantity = 'kap_acquisition') as kap_acquisition_gy_cm2,
        coalesce(bool_and(is_kap_calibrated) filter (where quantity = 'kap'), false) as is_kap_calibrated,
        sum(reported_value) filter (where quantity = 'kap') as kap_reported_gy_cm2,
        sum(reported_value) filter (where quantity = 'kap_fluoro') as kap_reported_fluoro_gy_cm2,
        sum(reported_value) filter (where quantity = 'kap_acquisition') as kap_reported_acquisition_gy_cm2,
        max(total_value) filter (where quantity = 'ka_r') as ka_r_mgy,
        max(total_value) filter (where quantity = 'ka_r' and plane = 'A') as ka_r_plane_a_mgy,
        max(total_value) filter (where quantity = 'ka_r' and plane = 'B') as ka_r_plane_b_mgy,
        case
            when bool_and(total_value is not null) filter (where quantity = 'fluoro_time')
                then sum(total_value) filter (where quantity = 'fluoro_time')
        end as fluoro_time_s,
        -- Only stated totals have it; one plane that lacks it makes the sum unknown.
        case
            when
                count(*) filter (where quantity = 'radiographic_frames')
                = count(distinct plane) filter (where quantity in ('kap', 'fluoro_time'))
                then sum(total_value) filter (where quantity = 'radiographic_frames')
        end as radiographic_frames
    from calibrated
    group by all
),

final as (
    select
        case
            when study_rooms.n_rooms > 1
                then {{ key_of(['studies.site_id', 'studies.study_name', 'study_rooms.room_id']) }}
            else {{ key_of(['studies.site_id', 'studies.study_name']) }}
        end as procedure_id,
        studies.study_key,
        studies.site_id,
        studies.site_timezone,
        study_rooms.room_id,
        studies.study_instance_uid,
        studies.study_name,
        studies.accession_number,
        studies.patient_key,
        studies.patient_age_years,
        studies.patient_sex,
        study_classes.procedure_type,
        coalesce(studies.study_description, studies.requested_procedure, studies.protocol) as procedure_description,
        coalesce(study_classes.specialty, rooms.specialty) as specialty,
        study_rooms.started_at,
        study_rooms.ended_at,
        study_rooms.study_date as procedure_date,
        study_rooms.irradiation_events,
        summed.kap_gy_cm2,
        summed.kap_source,
        summed.kap_event_sum_gy_cm2,
        summed.kap_fluoro_gy_cm2,
        summed.kap_acquisition_gy_cm2,
        coalesce(summed.is_kap_calibrated, false) as is_kap_calibrated,
        summed.ka_r_mgy,
        summed.ka_r_plane_a_mgy,
        summed.ka_r_plane_b_mgy,
        summed.fluoro_time_s,
        summed.radiographic_frames,
        summed.kap_reported_gy_cm2,
        summed.kap_reported_fluoro_gy_cm2,
        summed.kap_reported_acquisition_gy_cm2
    from studies
    inner join study_rooms on studies.study_key = study_rooms.study_key
    inner join study_classes on studies.study_key = study_classes.study_key
    left join rooms on study_rooms.room_id = rooms.room_id
    left join summed on study_rooms.study_key = summed.study_key and study_rooms.room_id = summed.room_id
)

select * from final
