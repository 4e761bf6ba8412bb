-- Where the irradiation events of a report count that do not count under its own path. Most reports count whole, and
-- their events need not be compared one by one.
with reports as (
    select * from {{ ref('int_report') }}
),

counting as (
    select
        load_seq,
        event_no,
        irradiation_event_uid
    from {{ ref('int_event') }}
),

sent as (
    select
        load_seq,
        event_no,
        irradiation_event_uid
    from {{ ref('int_sent_event') }}
),

own_events as (
    select
        load_seq,
        count(*) as n_counted
    from counting
    group by load_seq
),

divided as (
    select
        reports.load_seq,
        reports.is_latest_of_sop
    from reports
    left join own_events on reports.load_seq = own_events.load_seq
    where reports.n_events != coalesce(own_events.n_counted, 0)
),

placed as (
    select
        divided.load_seq,
        divided.is_latest_of_sop,
        counting.load_seq as counted_in_load_seq
    from divided
    inner join sent on divided.load_seq = sent.load_seq
    left join counting on sent.irradiation_event_uid = counting.irradiation_event_uid
    where
        counting.load_seq is null
        or (counting.load_seq, counting.event_no) is distinct from (sent.load_seq, sent.event_no)
),

counted_places as (
    select
        load_seq,
        is_latest_of_sop,
        counted_in_load_seq,
        count(*) as n_events
    from placed
    group by load_seq, is_latest_of_sop, counted_in_load_seq
),

final as (
    select
        load_seq,
        cast(
            coalesce(sum(n_events) filter (where counted_in_load_seq is not null), 0) as bigint
        ) as events_counted_elsewhere,
        cast(
            coalesce(sum(n_events) filter (where counted_in_load_seq is null and not is_latest_of_sop), 0) as bigint
        ) as events_superseded,
        max_by(counted_in_load_seq, (n_events, -counted_in_load_seq)) filter (
            where counted_in_load_seq is not null
        ) as counted_in_load_seq
    from counted_places
    group by load_seq
)

select * from final
