-- What the irradiation events of a day's reports are made from: which reports they are, their study, room and zone, and which
-- event counts where several reports sent it. The content of a report never changes.
with reports as (
    select * from {{ ref('int_report') }}
    where is_latest_of_sop
),

repeated_events as (
    select * from {{ ref('int_repeated_event') }}
),

decisions as (
    select
        load_seq,
        sum(hash(event_no, is_counting, irradiation_event_uid)) as decision_hash
    from repeated_events
    group by load_seq
),

final as (
    select
        reports.report_day,
        cast(sum(reports.n_events) as bigint) as n_rows,
        cast(
            sum(
                hash(
                    reports.load_seq,
                    reports.study_key,
                    reports.room_id,
                    reports.device_timezone,
                    coalesce(decisions.decision_hash, 0)
                )
            ) as hugeint
        ) as fingerprint
    from reports
    left join decisions on reports.load_seq = decisions.load_seq
    group by reports.report_day
)

select * from final
