-- What the published irradiation events of a day's reports are made from: the events, and the procedures and calibration
-- factors of the studies that were reported.
with report_days as (
    select * from {{ ref('int_report_day') }}
),

reported_studies as (
    select distinct
        report_day,
        study_key
    from {{ ref('int_report') }}
    where is_latest_of_sop
),

procedures as (
    select
        study_key,
        sum(hash(room_id, procedure_id)) as study_hash
    from {{ ref('int_procedure') }}
    group by study_key
),

kap_factors as (
    select
        study_key,
        sum(hash(room_id, plane, kap_factor)) as study_hash
    from {{ ref('int_kap_factor') }}
    group by study_key
),

study_days as (
    select
        reported_studies.report_day,
        sum(
            hash(reported_studies.study_key, coalesce(procedures.study_hash, 0), coalesce(kap_factors.study_hash, 0))
        ) as fingerprint
    from reported_studies
    left join procedures on reported_studies.study_key = procedures.study_key
    left join kap_factors on reported_studies.study_key = kap_factors.study_key
    group by reported_studies.report_day
),

final as (
    select
        report_days.report_day,
        report_days.n_rows,
        cast(hash(report_days.fingerprint, study_days.fingerprint) as hugeint) as fingerprint
    from report_days
    inner join study_days on report_days.report_day = study_days.report_day
)

select * from final
