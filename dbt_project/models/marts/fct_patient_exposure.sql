-- The window that ends at as_of, and the worst window of that length in the patient's history: any window's sum is reached
-- by one that ends on the date of a study.
with studies as (
    select
        study_dose.patient_key,
        study_dose.study_date,
        estimates.effective_dose_estimate_msv
    from {{ ref('int_study_dose') }} as study_dose
    inner join {{ ref('int_study_effective_dose') }} as estimates on study_dose.study_key = estimates.study_key
    where study_dose.patient_key is not null
),

windows as (
    select
        unnest(['1_year', '3_years', '5_years', 'all']) as dose_window,
        unnest([1, 3, 5, null]) as years
),

-- Every date on which a window may end: as_of, and each date of a study.
window_ends as (
    select
        patient_key,
        study_date as window_end
    from studies
    union
    select
        patient_key,
        {{ as_of() }} as window_end
    from studies
),

patient_windows as (
    select
        window_ends.patient_key,
        window_ends.window_end,
        windows.dose_window,
        coalesce(
            cast(window_ends.window_end - to_years(windows.years) as date) + 1, date '0001-01-01'
        ) as window_begin
    from window_ends
    cross join windows
),

sums as (
    select
        patient_windows.patient_key,
        patient_windows.dose_window,
        patient_windows.window_end,
        count(studies.study_date) as studies,
        count(studies.study_date) - count(studies.effective_dose_estimate_msv) as studies_without_estimate,
        -- Studies without an estimate are no dose of 0; a window without studies is.
        case
            when count(studies.study_date) = 0 then 0
            else sum(studies.effective_dose_estimate_msv)
        end as effective_dose_estimate_msv
    from patient_windows
    left join studies
        on
            patient_windows.patient_key = studies.patient_key
            and studies.study_date between patient_windows.window_begin and patient_windows.window_end
    group by patient_windows.patient_key, patient_windows.dose_window, patient_windows.window_end
),

peaks as (
    select
        *,
        max(effective_dose_estimate_msv) over (partition by patient_key, dose_window) as peak_msv
    from sums
),

final as (
    select
        patient_key,
        dose_window,
        studies,
        studies_without_estimate,
        cast(effective_dose_estimate_msv as double) as effective_dose_estimate_msv,
        cast(peak_msv as double) as peak_msv,
        peak_msv >= 100 as is_100_msv_or_more
    from peaks
    where window_end = {{ as_of() }}
)

select * from final
