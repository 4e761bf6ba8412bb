-- What each report is good for in its study: whose events it still has, and whether another report replaces it.
-- Rule 1 of the contract's Totals: a report whose events are a subset of another's in the same study and room is dropped;
-- of equal sets the latest stays.
with reports as (
    select * from {{ ref('int_report') }}
    where is_latest_of_sop
),

sent_events as (
    select
        load_seq,
        irradiation_event_uid
    from {{ ref('int_sent_event') }}
),

owned_events as (
    select * from {{ ref('int_event') }}
),

own_events as (
    select
        load_seq,
        count(*) as n_owned
    from owned_events
    group by load_seq
),

-- Nearly every report is the only one that sent its events: these need no comparison event by event.
alone as (
    select
        reports.load_seq,
        own_events.n_owned
    from reports
    inner join own_events on reports.load_seq = own_events.load_seq and reports.n_events = own_events.n_owned
),

contested as (
    select distinct
        reports.study_key,
        reports.room_id
    from reports
    anti join alone on reports.load_seq = alone.load_seq
),

report_events as (
    select
        reports.load_seq,
        reports.study_key,
        reports.room_id,
        reports.version_rank,
        list(distinct sent_events.irradiation_event_uid) as event_uids,
        count(distinct sent_events.irradiation_event_uid) as n_sent,
        count(distinct sent_events.irradiation_event_uid) filter (
            where owned_events.study_key = reports.study_key
        ) as n_owned,
        min(owned_events.load_seq) filter (where owned_events.study_key != reports.study_key) as other_load_seq
    from reports
    semi join contested on reports.study_key = contested.study_key and reports.room_id = contested.room_id
    inner join sent_events on reports.load_seq = sent_events.load_seq
    inner join owned_events on sent_events.irradiation_event_uid = owned_events.irradiation_event_uid
    group by all
),

replaced as (
    select
        report_events.load_seq,
        max_by(larger.load_seq, larger.version_rank) as replaced_by_load_seq
    from report_events
    inner join report_events as larger
        on
            report_events.study_key = larger.study_key
            and report_events.room_id = larger.room_id
            and report_events.load_seq != larger.load_seq
            and list_has_all(larger.event_uids, report_events.event_uids)
            and (report_events.n_sent < larger.n_sent or report_events.version_rank < larger.version_rank)
    group by report_events.load_seq
),

final as (
    select
        reports.load_seq,
        reports.study_key,
        reports.room_id,
        reports.version_rank,
        coalesce(report_events.n_sent, alone.n_owned, 0) as n_events_sent,
        coalesce(report_events.n_owned, alone.n_owned, 0) as n_events_owned,
        report_events.other_load_seq,
        replaced.replaced_by_load_seq,
        case
            when n_events_sent = 0 then 'without_events'
            when report_events.n_owned = 0 then 'foreign'
            when replaced.replaced_by_load_seq is not null then 'replaced'
            else 'stays'
        end as report_role
    from reports
    left join alone on reports.load_seq = alone.load_seq
    left join report_events on reports.load_seq = report_events.load_seq
    left join replaced on reports.load_seq = replaced.load_seq
)

select * from final
