-- The reader's verdict on a file, and what follows from later files: replaced, or without news.
with files as (
    select * from {{ ref('stg_file') }}
),

sources as (
    select * from {{ ref('stg_source') }}
),

reports as (
    select * from {{ ref('int_report') }}
),

roles as (
    select * from {{ ref('int_report_role') }}
),

record_balances as (
    select * from {{ ref('int_record_balance') }}
),

readings as (
    select * from {{ ref('int_file_reading') }}
),

news as (
    select
        load_seq,
        sum(n_news) as n_news
    from record_balances
    group by load_seq
),

judged as (
    select
        files.*,
        case
            when readings.reading_state != 'loaded' then readings.reading_state
            when not reports.is_latest_of_sop then 'superseded'
            when roles.report_role = 'replaced' then 'superseded'
            when roles.report_role = 'foreign' then 'duplicate'
            when news.n_news = 0 then 'duplicate'
            else files.status
        end as final_status,
        case
            when readings.reading_state != 'loaded' then cast(null as bigint)
            when not reports.is_latest_of_sop then reports.winner_load_seq
            when roles.report_role = 'replaced' then roles.replaced_by_load_seq
            when roles.report_role = 'foreign' then roles.other_load_seq
        end as other_load_seq,
        case
            when readings.reading_state = 'withdrawn' then readings.withdrawal_reason
            when readings.reading_state = 'superseded' then 'read again under a changed description of its source'
            when readings.reading_state != 'loaded' then files.reason
            when not reports.is_latest_of_sop then 'a newer version of the same SOP Instance UID: '
            when roles.report_role = 'replaced' then 'all its irradiation events are in the later report '
            when roles.report_role = 'foreign' then 'all its irradiation events belong to another study, reported in '
            when news.n_news = 0 then 'all its rows were known already'
            else files.reason
        end as final_reason
    from files
    inner join readings on files.load_seq = readings.load_seq
    left join reports on files.load_seq = reports.load_seq
    left join roles on files.load_seq = roles.load_seq
    left join news on files.load_seq = news.load_seq
),

final as (
    select
        judged.path,
        judged.sha256,
        case
            when judged.status != 'quarantined' or sources.source_id is not null then judged.source_id
        end as source_id,
        judged.kind,
        judged.load_seq,
        judged.first_seen_at,
        judged.final_status as status,
        judged.final_reason || coalesce(other_files.path, '') as reason,
        judged.rows_loaded,
        judged.rows_rejected
    from judged
    left join sources on judged.source_id = sources.source_id
    left join files as other_files on judged.other_load_seq = other_files.load_seq
)

select * from final
