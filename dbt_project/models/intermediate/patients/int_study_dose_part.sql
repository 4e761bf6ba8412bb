-- The dose of a study by what a coefficient of effective dose depends on: events that agree in all of it are one part.
with studies as (
    select
        *,
        cast(case modality when 'CT' then dlp_mgy_cm when 'XA' then kap_gy_cm2 end as decimal(18, 9)) as total_dose
    from {{ ref('int_study_dose') }}
),

events as (
    select * from {{ ref('int_event_kap') }}
),

event_doses as (
    select
        studies.study_key,
        events.target_region,
        events.ctdi_phantom as phantom,
        events.copper_filter_mm,
        case studies.modality when 'CT' then events.dlp_mgy_cm when 'XA' then events.kap_gy_cm2 end as event_dose
    from studies
    inner join events on studies.study_key = events.study_key
    where event_dose > 0
),

event_parts as (
    select
        study_key,
        target_region,
        phantom,
        copper_filter_mm,
        cast(sum(event_dose) as decimal(18, 9)) as part_dose
    from event_doses
    group by study_key, target_region, phantom, copper_filter_mm
),

-- A report that states a total and no events is one part of unknown region, phantom and filter.
all_parts as (
    select * from event_parts
    union all by name
    select
        studies.study_key,
        studies.total_dose as part_dose
    from studies
    anti join event_parts on studies.study_key = event_parts.study_key
),

-- Few kinds of parts make up all studies: each kind is compared with the coefficients once.
final as (
    select
        all_parts.study_key,
        studies.modality,
        studies.procedure_type,
        studies.procedure_specialty,
        studies.patient_age_years,
        all_parts.target_region,
        all_parts.phantom,
        all_parts.copper_filter_mm,
        all_parts.part_dose,
        count(*) over (partition by all_parts.study_key) as n_parts,
        dense_rank() over (
            order by
                studies.modality,
                studies.procedure_type,
                studies.procedure_specialty,
                studies.patient_age_years,
                all_parts.target_region,
                all_parts.phantom,
                all_parts.copper_filter_mm
        ) as kind_no
    from all_parts
    inner join studies on all_parts.study_key = studies.study_key
)

select * from final
