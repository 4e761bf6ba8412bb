-- Doses at which a patient must be followed up: skin dose indicators of one procedure or of the patient's last days, and
-- the effective dose of all studies. Ka,r is that of a procedure's highest plane; planes are never added.
with procedures as (
    select * from {{ ref('int_procedure') }}
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
    where rule = 'patient_dose'
),

sum_windows as (
    select cast(max(threshold_value) as integer) as sum_days
    from thresholds
    where name = 'sum_days'
),

doses as (
    unpivot (
        select
            site_id,
            study_name,
            room_id,
            patient_key,
            procedure_id,
            procedure_date,
            coalesce(started_at, cast(procedure_date as timestamptz)) as ordered_at,
            ka_r_mgy as ka_r,
            cast(kap_gy_cm2 as decimal(38, 12)) as kap,
            fluoro_time_s as fluoro_time
        from procedures
    )
    on ka_r, kap, fluoro_time
    into name quantity value dose
),

-- A procedure that added nothing did not bring the patient anywhere.
given_doses as (
    select * from doses
    where dose != 0
),

-- Each procedure with what its patient got in the days up to it; a procedure without a patient stands alone.
summed as (
    select
        given_doses.site_id,
        given_doses.study_name,
        given_doses.room_id,
        given_doses.patient_key,
        given_doses.procedure_id,
        given_doses.procedure_date,
        given_doses.quantity,
        given_doses.dose,
        count(earlier.procedure_id) as n_procedures,
        coalesce(sum(earlier.dose), any_value(given_doses.dose)) as dose_of_days
    from given_doses
    cross join sum_windows
    left join given_doses as earlier
        on
            given_doses.patient_key = earlier.patient_key
            and given_doses.quantity = earlier.quantity
            and earlier.procedure_date > given_doses.procedure_date - sum_windows.sum_days
            and (earlier.ordered_at, earlier.procedure_id) <= (given_doses.ordered_at, given_doses.procedure_id)
    group by all
),

skin_findings as (
    select
        summed.dose >= thresholds.threshold_value as is_of_one,
        summed.site_id,
        thresholds.step || case when is_of_one then '' else '_of_days' end as step,
        summed.study_name,
        case when is_of_one then 'procedure' else 'patient' end as subject_type,
        summed.procedure_id,
        summed.patient_key,
        summed.room_id,
        summed.procedure_date as occurred_on,
        summed.quantity,
        cast(case when is_of_one then summed.dose else summed.dose_of_days end as double) as finding_value,
        case when is_of_one then 1 else summed.n_procedures end as n_reference,
        thresholds.threshold_value as threshold,
        thresholds.unit,
        case
            when is_of_one then 'in one procedure'
            else format('in {} procedures of one patient within {} days', summed.n_procedures, sum_windows.sum_days)
        end as extent,
        thresholds.severity,
        thresholds.audience,
        thresholds.rule_version
    from summed
    cross join sum_windows
    inner join thresholds on summed.quantity = thresholds.name
    where
        summed.dose >= thresholds.threshold_value
        or summed.dose_of_days >= thresholds.threshold_value
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
        thresholds.severity,
        thresholds.audience,
        thresholds.rule_version
    from cumulative
    inner join thresholds
        on thresholds.name = 'effective_dose' and cumulative.dose_so_far >= thresholds.threshold_value
    qualify row_number() over (partition by cumulative.patient_key order by cumulative.n_studies) = 1
),

reached as (
    select * exclude (is_of_one) from skin_findings
    union all by name
    select * from effective_findings
),

fired as (
    select
        *,
        cast(null as varchar) as operator_id,
        cast(null as varchar) as period,
        format(
            '{} of {:.6g} {} {}: {:.6g} {} or more.',
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
            unit
        ) as message
    from reached
),

final as (
    {{ findings_of('patient_dose') }}
)

select * from final
