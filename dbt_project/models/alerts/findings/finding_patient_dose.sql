-- Doses for which a patient is followed up: skin dose indicators of one procedure or of the patient's last days, and the
-- effective dose of all studies.
with procedures as (
    select * from {{ ref('int_procedure') }}
),

classes as (
    select * from {{ ref('procedure_class') }}
),

skin_steps as (
    select * from {{ ref('int_skin_step') }}
),

studies as (
    select
        study_dose.*,
        estimates.effective_dose_estimate_msv
    from {{ ref('int_study_dose') }} as study_dose
    inner join {{ ref('int_study_effective_dose') }} as estimates on study_dose.study_key = estimates.study_key
),

thresholds as (
    select * from {{ ref('int_alert_threshold') }}
    where rule = 'patient_dose' and name = 'effective_dose'
),

-- By what a physicist finds the patient.
placed_procedures as (
    select
        procedures.*,
        concat_ws(
            ', ',
            'Accession number ' || coalesce(procedures.accession_number, 'not stated'),
            coalesce(
                strftime(timezone(procedures.site_timezone, procedures.started_at), '%Y-%m-%d %H:%M'),
                cast(procedures.procedure_date as varchar)
            ),
            'room ' || procedures.room_id,
            coalesce(classes.name_en, procedures.procedure_type),
            'Ka,r ' || coalesce(format('{:.6g} mGy', cast(procedures.ka_r_mgy as double)), 'not stated'),
            'KAP ' || coalesce(format('{:.6g} Gy.cm2', cast(procedures.kap_gy_cm2 as double)), 'not stated')
        ) as place
    from procedures
    left join classes on procedures.procedure_type = classes.procedure_class
),

skin_findings as (
    select
        placed_procedures.site_id,
        skin_steps.step,
        placed_procedures.study_name,
        case when skin_steps.is_of_one then 'procedure' else 'patient' end as subject_type,
        skin_steps.procedure_id,
        placed_procedures.patient_key,
        placed_procedures.room_id,
        placed_procedures.procedure_date as occurred_on,
        skin_steps.quantity,
        cast(skin_steps.dose as double) as finding_value,
        skin_steps.n_procedures as n_reference,
        skin_steps.threshold_value as threshold,
        skin_steps.unit,
        case
            when skin_steps.is_of_one then 'in one procedure'
            else concat_ws(
                ', ',
                format(
                    'in {} procedures of one patient within {} days (region: {})',
                    skin_steps.n_procedures,
                    skin_steps.extent_days,
                    replace(skin_steps.body_region, '_', ' ')
                ),
                format('{} of them of unknown region', nullif(skin_steps.n_unknown_region, 0)),
                case
                    when skin_steps.quantity = 'ka_r'
                        then format(
                            '{} of them without Ka,r, KAP {:.6g} Gy.cm2',
                            nullif(skin_steps.n_without_ka_r, 0),
                            cast(skin_steps.kap_without_ka_r_gy_cm2 as double)
                        )
                end
            )
        end as extent,
        ' ' || placed_procedures.place || '.' as place,
        skin_steps.severity,
        skin_steps.audience,
        skin_steps.rule_version
    from skin_steps
    inner join placed_procedures on skin_steps.procedure_id = placed_procedures.procedure_id
),

cumulative as (
    select
        *,
        sum(effective_dose_estimate_msv) over history as dose_so_far,
        count(*) over history as n_studies
    from studies
    where patient_key is not null and effective_dose_estimate_msv is not null
    window history as (partition by patient_key order by study_date, started_at nulls last, study_key)
),

-- Once a patient: the study with which the sum came there.
effective_findings as (
    select
        cumulative.site_id,
        thresholds.step,
        cast(null as varchar) as study_name,
        'patient' as subject_type,
        cast(null as varchar) as procedure_id,
        cumulative.patient_key,
        cast(null as varchar) as room_id,
        cumulative.study_date as occurred_on,
        thresholds.name as quantity,
        cast(cumulative.dose_so_far as double) as finding_value,
        cumulative.n_studies as n_reference,
        thresholds.threshold_value as threshold,
        thresholds.unit,
        format('in {} studies of one patient, estimated', cumulative.n_studies) as extent,
        '' as place,
        thresholds.severity,
        thresholds.audience,
        thresholds.rule_version
    from cumulative
    inner join thresholds on cumulative.dose_so_far >= thresholds.threshold_value
    qualify row_number() over (partition by cumulative.patient_key order by cumulative.n_studies) = 1
),

reached as (
    select * from skin_findings
    union all by name
    select * from effective_findings
),

fired as (
    select
        *,
        cast(null as varchar) as operator_id,
        cast(null as varchar) as period,
        format(
            '{} of {:.6g} {} {}: {:.6g} {} or more.{}',
            case quantity
                when 'ka_r' then 'Ka,r'
                when 'kap' then 'KAP'
                when 'fluoro_time' then 'Fluoroscopy time'
                when 'effective_dose' then 'Effective dose'
            end,
            finding_value,
            unit,
            extent,
            threshold,
            unit,
            place
        ) as message
    from reached
),

final as (
    {{ findings_of('patient_dose') }}
)

select * from final
