-- Dose reports that a procedure consists of, without objects that a later version replaced.
with reports as (
    select * from {{ ref('int_report') }}
    where is_latest_of_sop
),

roles as (
    select * from {{ ref('int_report_role') }}
    where report_role != 'foreign'
),

procedures as (
    select * from {{ ref('int_procedure') }}
),

files as (
    select * from {{ ref('stg_file') }}
),

final as (
    select
        procedures.procedure_id,
        reports.load_seq,
        reports.sop_instance_uid,
        files.path
    from reports
    inner join roles on reports.load_seq = roles.load_seq
    inner join procedures on reports.study_key = procedures.study_key and reports.room_id = procedures.room_id
    inner join files on reports.load_seq = files.load_seq
)

select * from final
