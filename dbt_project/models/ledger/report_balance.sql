-- Two independent counts: the event containers that the reader counted in a report, and where each event went. A byte
-- duplicate states what its original states.
with files as (
    select * from {{ ref('file') }}
    where kind = 'dose_report'
),

raw_files as (
    select * from {{ ref('stg_file') }}
),

reports as (
    select * from {{ ref('int_dated_report') }}
),

known_reports as (
    select * from {{ ref('int_known_report') }}
),

counted as (
    select
        load_seq,
        count(*) as n_events
    from {{ ref('int_event') }}
    group by load_seq
),

places as (
    select * from {{ ref('int_event_place') }}
),

kap_totals as (
    select
        load_seq,
        sum(total_value) as kap_gy_cm2
    from {{ ref('stg_dose_total') }}
    where quantity = 'kap'
    group by load_seq
),

used_totals as (
    select * from {{ ref('int_used_total') }}
),

unread as (
    select
        load_seq,
        min(message) as message
    from {{ ref('stg_finding') }}
    where code = 'unread_event'
    group by load_seq
),

-- The report whose events a file states: its own, or that of the file that has the same bytes.
stated as (
    select
        files.*,
        coalesce(raw_files.duplicate_of, files.load_seq) as report_load_seq,
        raw_files.duplicate_of is not null as is_copy
    from files
    inner join raw_files on files.load_seq = raw_files.load_seq
    left join raw_files as originals on raw_files.duplicate_of = originals.load_seq
    where coalesce(originals.status, files.status) not in ('not_dose', 'ignored')
),

placed as (
    select
        stated.load_seq,
        stated.path,
        stated.status,
        stated.is_copy,
        stated.reason as file_reason,
        reports.study_instance_uid,
        reports.device_serial,
        reports.report_date,
        reports.load_seq is null as is_unread,
        known_reports.load_seq is null as is_after_as_of,
        reports.events_stated,
        reports.n_events,
        coalesce(counted.n_events, 0) as n_counted,
        coalesce(places.events_counted_elsewhere, 0) as n_elsewhere,
        coalesce(places.events_superseded, 0) as n_superseded,
        kap_totals.kap_gy_cm2,
        coalesce(used_totals.load_seq is not null, false) as is_total_used,
        coalesce(places.counted_in_load_seq, counted.load_seq) as counted_in_load_seq,
        unread.message as unread_reason
    from stated
    left join reports on stated.report_load_seq = reports.load_seq
    left join known_reports on stated.report_load_seq = known_reports.load_seq
    left join counted on stated.report_load_seq = counted.load_seq
    left join places on stated.report_load_seq = places.load_seq
    left join kap_totals on stated.report_load_seq = kap_totals.load_seq
    left join used_totals on stated.report_load_seq = used_totals.load_seq
    left join unread on stated.report_load_seq = unread.load_seq
),

divided as (
    select
        *,
        case when is_copy then 0 else n_counted end as events_counted,
        n_elsewhere + case when is_copy then n_counted else 0 end as events_counted_elsewhere,
        n_superseded as events_superseded,
        case when is_after_as_of then coalesce(n_events, 0) else 0 end as events_after_as_of,
        case when is_unread then 0 else greatest(events_stated - n_events, 0) end as events_rejected
    from placed
),

final as (
    select
        divided.load_seq,
        divided.path,
        divided.study_instance_uid,
        divided.device_serial,
        divided.status,
        divided.events_stated,
        cast(divided.events_counted as bigint) as events_counted,
        cast(divided.events_counted_elsewhere as bigint) as events_counted_elsewhere,
        cast(divided.events_superseded as bigint) as events_superseded,
        cast(divided.events_after_as_of as bigint) as events_after_as_of,
        cast(divided.events_rejected as bigint) as events_rejected,
        cast(divided.kap_gy_cm2 as double) as kap_stated_gy_cm2,
        divided.is_total_used and not divided.is_copy as is_total_used,
        case when divided.events_counted_elsewhere > 0 then other_files.path end as counted_in_path,
        nullif(
            concat_ws(
                '; ',
                divided.file_reason,
                case
                    when divided.is_after_as_of and not divided.is_unread
                        then format('its date {} is later than as_of', divided.report_date)
                end,
                divided.unread_reason
            ),
            ''
        ) as reason,
        cast(
            coalesce(divided.events_stated, 0) - divided.events_counted - divided.events_counted_elsewhere
            - divided.events_superseded - divided.events_after_as_of - divided.events_rejected as bigint
        ) as imbalance_events
    from divided
    left join files as other_files on divided.counted_in_load_seq = other_files.load_seq
)

select * from final
