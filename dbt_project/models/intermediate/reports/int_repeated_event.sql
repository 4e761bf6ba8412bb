-- Irradiation events that were sent more than once, each time they were, and which of these counts. Most events are sent once:
-- only of the others somebody has to decide.
with reports as (
    select * from {{ ref('int_report') }}
    where is_latest_of_sop
),

events as (
    select * from {{ ref('stg_irradiation_event') }}
),

-- By a number, which is compared much faster than a text; two events that happen to share it are told apart below.
sent as (
    select
        events.load_seq,
        events.event_no,
        hash(events.irradiation_event_uid) as event_hash
    from events
    semi join reports on events.load_seq = reports.load_seq
),

sent_again as (
    select event_hash
    from sent
    group by event_hash
    having count(*) > 1
),

repeated as (
    select
        events.irradiation_event_uid,
        events.load_seq,
        events.event_no,
        reports.study_key,
        reports.version_rank,
        -- The latest report's study owns the event; of equally late ones the first loaded (contract, Totals 6).
        first_value(reports.study_key) over (
            partition by events.irradiation_event_uid order by reports.lateness desc, events.load_seq asc
        ) as owner_study_key
    from sent
    semi join sent_again on sent.event_hash = sent_again.event_hash
    inner join events on sent.load_seq = events.load_seq and sent.event_no = events.event_no
    inner join reports on sent.load_seq = reports.load_seq
),

final as (
    select
        irradiation_event_uid,
        load_seq,
        event_no,
        row_number() over (
            partition by irradiation_event_uid
            order by study_key = owner_study_key desc, version_rank desc, event_no asc
        ) = 1 as is_counting
    from repeated
)

select * from final
