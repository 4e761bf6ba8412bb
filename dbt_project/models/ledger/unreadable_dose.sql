-- Studies that state a dose which cannot be read: no dose is published in its place, and a physicist must check it.
with findings as (
    select * from {{ ref('stg_finding') }}
),

concepts as (
    select * from {{ ref('dose_concept') }}
),

reports as (
    select * from {{ ref('int_report') }}
    where is_latest_of_sop
),

files as (
    select * from {{ ref('stg_file') }}
),

final as (
    select
        reports.load_seq,
        files.path,
        reports.study_instance_uid,
        reports.accession_number,
        reports.room_id,
        reports.report_date,
        concepts.quantity,
        string_agg(distinct findings.message, '; ' order by findings.message) as message
    from findings
    inner join concepts on findings.field = concepts.field
    inner join reports on findings.load_seq = reports.load_seq
    inner join files on findings.load_seq = files.load_seq
    group by all
)

select * from final
