-- Oddities between reports: UIDs that should be unique and are not.
with reports as (
    select * from {{ ref('int_report') }}
),

dated_reports as (
    select * from {{ ref('int_dated_report') }}
),

resent as (
    select * from {{ ref('int_resent_event') }}
),

files as (
    select * from {{ ref('stg_file') }}
),

reused_objects as (
    select
        'reused_uid' as code,
        reports.load_seq,
        '(0008,0018)' as concept,
        format(
            'The SOP Instance UID of {} is also that of {}, another object: both count.',
            own_files.path,
            other_files.path
        ) as message
    from reports
    inner join files as own_files on reports.load_seq = own_files.load_seq
    inner join files as other_files on reports.reused_by_load_seq = other_files.load_seq
),

-- An event UID of which there are several events, once for each report that sent it.
event_senders as (
    select
        sent_event_uid,
        irradiation_event_uid,
        load_seq,
        min(load_seq) over (partition by sent_event_uid, irradiation_event_uid) as first_load_seq
    from resent
    qualify
        min(irradiation_event_uid) over (partition by sent_event_uid)
        != max(irradiation_event_uid) over (partition by sent_event_uid)
),

first_senders as (
    select distinct
        sent_event_uid,
        irradiation_event_uid,
        first_load_seq,
        dense_rank() over (partition by sent_event_uid order by first_load_seq, irradiation_event_uid) as nth_event
    from event_senders
),

reused_events as (
    select
        event_senders.load_seq,
        count(distinct event_senders.sent_event_uid) as n_events,
        min(other_events.first_load_seq) as other_load_seq
    from event_senders
    inner join first_senders as other_events
        on
            event_senders.sent_event_uid = other_events.sent_event_uid
            and event_senders.irradiation_event_uid != other_events.irradiation_event_uid
            and other_events.nth_event <= 2
    group by event_senders.load_seq
),

reused_event_uids as (
    select
        'reused_uid' as code,
        reused_events.load_seq,
        '113769 DCM' as concept,
        format(
            '{} irradiation event UIDs of {} are also in {}, for other irradiations: each counts.',
            reused_events.n_events,
            own_files.path,
            other_files.path
        ) as message
    from reused_events
    inner join files as own_files on reused_events.load_seq = own_files.load_seq
    inner join files as other_files on reused_events.other_load_seq = other_files.load_seq
),

-- For a past as_of, all that came later is in order.
future_dates as (
    select
        'future_date' as code,
        dated_reports.load_seq,
        '111526 DCM' as concept,
        format(
            'The report is dated {}, later than {}: it makes no procedure. Is the clock of the device right?',
            dated_reports.report_date,
            {{ as_of() }}
        ) as message
    from dated_reports
    where
        dated_reports.report_date > {{ as_of() }} + {{ var('future_days') }}
        and {{ may_become_current() }}
),

together as (
    select * from reused_objects
    union all
    select * from reused_event_uids
    union all
    select * from future_dates
),

final as (
    select
        code,
        load_seq,
        concept as field,
        message
    from together
)

select * from final
