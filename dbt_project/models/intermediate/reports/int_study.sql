-- One study with the patient and description, and the modality that all its reports show.
with reports as (
    select * from {{ ref('int_report') }}
    where is_latest_of_sop
),

roles as (
    select * from {{ ref('int_report_role') }}
),

events as (
    select * from {{ ref('int_event') }}
),

stated as (
    select * from {{ ref('stg_dose_total') }}
),

of_study as (
    select
        reports.*,
        roles.report_role
    from reports
    inner join roles on reports.load_seq = roles.load_seq
    where roles.report_role != 'foreign'
),

event_signs as (
    select
        events.study_key,
        count(*) as irradiation_events,
        bool_or(events.event_type = 'ct_acquisition') as has_ct,
        bool_or(
            events.has_breast_item
            or events.target_region in ('breast', 'breast_left', 'breast_right')
        ) as has_breast,
        bool_or(events.event_type in ('fluoroscopy', 'stepping_acquisition', 'rotational_acquisition'))
            as has_guidance
    from events
    group by events.study_key
),

total_signs as (
    select
        of_study.study_key,
        bool_or(stated.quantity = 'dlp' or of_study.template_modality = 'ct') as has_ct,
        bool_or(stated.quantity like 'agd%') as has_breast,
        bool_or(stated.quantity in ('fluoro_time', 'kap_fluoro') and stated.total_value > 0) as has_guidance
    from of_study
    left join stated on of_study.load_seq = stated.load_seq
    group by of_study.study_key
),

latest as (
    select *
    from of_study
    qualify row_number() over (partition by study_key order by version_rank desc) = 1
),

final as (
    select
        latest.study_key,
        latest.site_id,
        latest.site_timezone,
        latest.study_instance_uid,
        latest.study_name,
        latest.accession_number,
        latest.patient_key,
        latest.patient_age_years,
        latest.patient_sex,
        latest.study_description,
        latest.requested_procedure,
        latest.protocol,
        latest.procedure_codes,
        latest.study_date as stated_study_date,
        latest.report_date,
        coalesce(event_signs.irradiation_events, 0) as irradiation_events,
        case
            when coalesce(total_signs.has_ct, false) or coalesce(event_signs.has_ct, false) then 'CT'
            when coalesce(total_signs.has_breast, false) or coalesce(event_signs.has_breast, false) then 'MG'
            when coalesce(event_signs.has_guidance, false) or coalesce(total_signs.has_guidance, false) then 'XA'
            else 'DX'
        end as modality
    from latest
    left join event_signs on latest.study_key = event_signs.study_key
    left join total_signs on latest.study_key = total_signs.study_key
)

select * from final
