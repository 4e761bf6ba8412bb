-- Every study that something names apart from its own dose report, once, and whether a report of it counts. A study UID and an
-- accession number are one study where any input states both.
with logbook as (
    select * from {{ ref('stg_logbook') }}
),

doses as (
    select * from {{ ref('int_dose_evidence') }}
    where layout = 'procedure_totals'
),

pacs_studies as (
    select * from {{ ref('stg_pacs_study') }}
),

given_up as (
    select * from {{ ref('stg_unanswered_object') }}
    where is_given_up and study_instance_uid is not null
),

reports as (
    select * from {{ ref('stg_dose_report') }}
),

studies as (
    select * from {{ ref('int_study') }}
),

named as (
    select
        study_instance_uid,
        accession_number,
        'logbook' as known_from,
        procedure_date as expected_date
    from logbook
    where procedure_date <= {{ as_of() }}
    union all
    select
        study_instance_uid,
        accession_number,
        'vendor_total' as known_from,
        measured_date as expected_date
    from doses
    union all
    select
        study_instance_uid,
        accession_number,
        'pacs' as known_from,
        study_date as expected_date
    from pacs_studies
    where study_date <= {{ as_of() }}
    union all
    select
        study_instance_uid,
        accession_number,
        'pacs' as known_from,
        study_date as expected_date
    from given_up
    where study_date <= {{ as_of() }}
),

pairs as (
    select
        study_instance_uid,
        accession_number
    from named
    where study_instance_uid is not null and accession_number is not null
    union
    select
        study_instance_uid,
        accession_number
    from reports
    where study_instance_uid is not null and accession_number is not null
),

-- A number that several studies share names none of them.
uid_of_accession as (
    select
        accession_number,
        min(study_instance_uid) as study_instance_uid
    from pairs
    group by accession_number
    having count(distinct study_instance_uid) = 1
),

accession_of_uid as (
    select
        study_instance_uid,
        min(accession_number) as accession_number
    from pairs
    group by study_instance_uid
),

identified as (
    select
        coalesce(named.study_instance_uid, uid_of_accession.study_instance_uid) as study_instance_uid,
        coalesce(named.accession_number, accession_of_uid.accession_number) as accession_number,
        named.known_from,
        named.expected_date
    from named
    left join uid_of_accession
        on named.study_instance_uid is null and named.accession_number = uid_of_accession.accession_number
    left join accession_of_uid on named.study_instance_uid = accession_of_uid.study_instance_uid
),

expected as (
    select
        study_instance_uid,
        case when study_instance_uid is null then accession_number end as only_accession_number,
        min(accession_number) as accession_number,
        string_agg(distinct known_from, ' ' order by known_from) as known_from,
        min(expected_date) as expected_date
    from identified
    group by all
),

-- A study has a UID and an accession number; one without a UID is found by its number.
report_names as (
    select
        unnest([study_instance_uid, case when accession_number is not null then 'accession ' || accession_number end])
            as report_name,
        false as is_counted
    from reports
    union all
    select
        unnest([study_instance_uid, case when accession_number is not null then 'accession ' || accession_number end])
            as report_name,
        true as is_counted
    from studies
),

found as (
    select
        report_name,
        bool_or(is_counted) as is_counted
    from report_names
    where report_name is not null
    group by report_name
),

judged as (
    select
        expected.*,
        coalesce(found.is_counted, false) as has_report,
        found.report_name is not null as is_report_loaded
    from expected
    left join found
        on coalesce(expected.study_instance_uid, 'accession ' || expected.only_accession_number) = found.report_name
),

given_up_studies as (
    select distinct study_instance_uid
    from given_up
),

final as (
    select
        judged.study_instance_uid,
        judged.accession_number,
        judged.known_from,
        judged.expected_date,
        judged.has_report,
        case
            when judged.has_report then null
            when judged.is_report_loaded then 'report_not_counted'
            when given_up_studies.study_instance_uid is not null then 'not_retrieved'
            when judged.expected_date >= {{ as_of() }} - {{ var('missing_report_days') }} then 'awaited'
            else 'missing'
        end as reason
    from judged
    left join given_up_studies on judged.study_instance_uid = given_up_studies.study_instance_uid
)

select * from final
