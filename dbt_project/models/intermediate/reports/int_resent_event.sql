-- Each sending of an irradiation event UID that was sent more than once, and which event it is. Equal UIDs are one event, unless
-- the studies differ and device or patient differs too, or the starts are far apart: some devices number the events of each study from 1.
-- Most UIDs are sent once: only the others are to be decided.
with recursive reports as (
    select * from {{ ref('int_report') }}
),

events as (
    select * from {{ ref('stg_irradiation_event') }}
),

-- By a number, which is compared much faster than a text; two events with the same number are distinguished below.
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

sendings as (
    select
        events.load_seq,
        events.event_no,
        events.irradiation_event_uid as sent_event_uid,
        reports.study_key,
        reports.study_name,
        reports.device_serial,
        reports.patient_key,
        reports.version_rank,
        case
            when events.utc_offset_min is not null
                then timezone('UTC', events.started_local - to_minutes(events.utc_offset_min))
            else timezone(reports.device_timezone, events.started_local)
        end as started_at
    from sent
    semi join sent_again on sent.event_hash = sent_again.event_hash
    inner join events on sent.load_seq = events.load_seq and sent.event_no = events.event_no
    inner join reports on sent.load_seq = reports.load_seq
),

-- Within a study a UID is one event, with what the study's latest report states of it.
of_studies as (
    select
        sent_event_uid,
        study_key,
        study_name,
        max_by(device_serial, (version_rank, -event_no)) as device_serial,
        max_by(patient_key, (version_rank, -event_no)) as patient_key,
        max_by(started_at, (version_rank, -event_no)) as started_at
    from sendings
    group by sent_event_uid, study_key, study_name
    qualify count(*) over (partition by sent_event_uid) > 1
),

-- What is not stated is no difference: a sending takes what it lacks from the first one that it fits to and that has it, from
-- one that lacks nothing if there is any. Most devices state all fields or always omit the same: then there is nothing to compare.
mixed as (
    select sent_event_uid
    from of_studies
    group by sent_event_uid
    having
        (bool_or(device_serial is null) and bool_or(device_serial is not null))
        or (bool_or(patient_key is null) and bool_or(patient_key is not null))
        or (bool_or(started_at is null) and bool_or(started_at is not null))
),

compared as (
    select
        of_studies.*,
        of_studies.device_serial is null
        or of_studies.patient_key is null
        or of_studies.started_at is null as is_lacking
    from of_studies
    semi join mixed on of_studies.sent_event_uid = mixed.sent_event_uid
),

adopted as (
    select
        lacking.sent_event_uid,
        lacking.study_key,
        min_by(other.device_serial, (other.is_lacking, other.started_at, other.study_name)) as device_serial,
        min_by(other.patient_key, (other.is_lacking, other.started_at, other.study_name)) as patient_key,
        min_by(other.started_at, (other.is_lacking, other.started_at, other.study_name)) as started_at
    from compared as lacking
    inner join compared as other
        on
            lacking.sent_event_uid = other.sent_event_uid
            and lacking.study_key != other.study_key
            and coalesce(lacking.device_serial = other.device_serial, true)
            and coalesce(lacking.patient_key = other.patient_key, true)
            and coalesce(
                abs(epoch_us(lacking.started_at) - epoch_us(other.started_at))
                <= 60000000 * {{ var('same_event_min') }},
                true
            )
    where lacking.is_lacking
    group by lacking.sent_event_uid, lacking.study_key
),

completed as (
    select
        of_studies.sent_event_uid,
        of_studies.study_key,
        of_studies.study_name,
        coalesce(of_studies.started_at, adopted.started_at) as started_at,
        dense_rank() over (
            order by
                of_studies.sent_event_uid,
                coalesce(of_studies.device_serial, adopted.device_serial),
                coalesce(of_studies.patient_key, adopted.patient_key)
        ) as holder_no
    from of_studies
    left join adopted
        on of_studies.sent_event_uid = adopted.sent_event_uid and of_studies.study_key = adopted.study_key
),

-- Of one device and patient, an event's starts lie within some minutes of its first one. Those further apart than that
-- from the start before are surely others; only what is left can be a chain of starts, each near the next.
gaps as (
    select
        *,
        coalesce(
            epoch_us(started_at) - epoch_us(lag(started_at) over by_start)
            > 60000000 * {{ var('same_event_min') }},
            false
        ) as is_far
    from completed
    window by_start as (partition by holder_no order by started_at nulls first, study_name)
),

numbered as (
    select
        *,
        count(*) filter (where is_far) over (
            partition by holder_no order by started_at nulls first, study_name
        ) as nth_near
    from gaps
),

near_ones as (
    select
        *,
        dense_rank() over (order by holder_no, nth_near) as near_no
    from numbered
),

first_starts as (
    select
        near_no,
        min(started_at) as first_at
    from near_ones
    group by near_no
    union all
    select
        near_ones.near_no,
        min(near_ones.started_at) as first_at
    from first_starts
    inner join near_ones
        on
            first_starts.near_no = near_ones.near_no
            and epoch_us(near_ones.started_at) - epoch_us(first_starts.first_at)
            > 60000000 * {{ var('same_event_min') }}
    group by near_ones.near_no
),

of_events as (
    select
        near_ones.sent_event_uid,
        near_ones.study_key,
        near_ones.study_name,
        near_ones.near_no,
        max(first_starts.first_at) as first_at
    from near_ones
    left join first_starts
        on
            near_ones.near_no = first_starts.near_no
            and first_starts.first_at <= coalesce(near_ones.started_at, first_starts.first_at)
    group by all
),

named as (
    select
        *,
        min(study_name) over (partition by near_no, first_at) as event_name,
        dense_rank() over (
            partition by sent_event_uid order by first_at nulls first, near_no
        ) as nth_event
    from of_events
),

final as (
    select
        sendings.load_seq,
        sendings.event_no,
        sendings.sent_event_uid,
        -- The first event keeps the UID.
        case
            when coalesce(named.nth_event, 1) = 1 then sendings.sent_event_uid
            else 'made-' || {{ key_of(['sendings.sent_event_uid', 'named.event_name']) }}
        end as irradiation_event_uid
    from sendings
    left join named on sendings.sent_event_uid = named.sent_event_uid and sendings.study_key = named.study_key
)

select * from final
