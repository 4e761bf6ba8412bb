-- Each irradiation event once, in the study that owns it, with the values of that study's latest report.
with reports as (
    select * from {{ ref('int_report') }}
    where is_latest_of_sop
),

events as (
    select * from {{ ref('stg_irradiation_event') }}
),

sent as (
    select
        events.irradiation_event_uid,
        events.load_seq,
        events.event_no,
        reports.study_key,
        reports.version_rank,
        reports.lateness
    from events
    inner join reports on events.load_seq = reports.load_seq
),

-- Most events are sent once: only of the others somebody has to decide, and by their keys alone.
sent_again as (
    select irradiation_event_uid
    from sent
    group by irradiation_event_uid
    having count(*) > 1
),

owned as (
    select
        sent.*,
        -- The latest report's study owns the event; of equally late ones the first loaded (contract, Totals 6).
        first_value(sent.study_key) over (
            partition by sent.irradiation_event_uid order by sent.lateness desc, sent.load_seq asc
        ) as owner_study_key
    from sent
    semi join sent_again on sent.irradiation_event_uid = sent_again.irradiation_event_uid
),

latest as (
    select
        load_seq,
        event_no
    from owned
    where study_key = owner_study_key
    qualify row_number() over (partition by irradiation_event_uid order by version_rank desc, event_no asc) = 1
),

counting as (
    select
        sent.load_seq,
        sent.event_no
    from sent
    anti join sent_again on sent.irradiation_event_uid = sent_again.irradiation_event_uid
    union all by name
    select * from latest
),

timed as (
    select
        events.*,
        reports.study_key,
        reports.room_id,
        case
            when events.utc_offset_min is not null
                then timezone('UTC', events.started_local - to_minutes(events.utc_offset_min))
            else timezone(reports.device_timezone, events.started_local)
        end as started_at,
        coalesce(
            events.stated_duration_s,
            -- More than a day is no irradiation, but a fault of one of the two.
            case
                when events.pulse_rate_per_s > 0 and events.number_of_pulses <= 86400 * events.pulse_rate_per_s
                    then events.number_of_pulses / events.pulse_rate_per_s
            end
        ) as duration_s,
        case
            when events.stated_duration_s is not null then 'stated'
            when events.pulse_rate_per_s > 0 and events.number_of_pulses <= 86400 * events.pulse_rate_per_s
                then 'pulses'
        end as duration_source
    from events
    inner join counting on events.load_seq = counting.load_seq and events.event_no = counting.event_no
    inner join reports on events.load_seq = reports.load_seq
),

final as (
    select
        irradiation_event_uid,
        load_seq,
        study_key,
        room_id,
        event_no,
        plane,
        event_type,
        started_at,
        cast(duration_s as decimal(18, 6)) as duration_s,
        duration_source,
        reported_kap_gy_cm2,
        ka_r_mgy,
        kvp,
        primary_angle_deg,
        secondary_angle_deg,
        copper_filter_mm,
        acquisition_protocol,
        target_region,
        dlp_mgy_cm,
        ctdi_vol_mgy,
        ctdi_phantom,
        agd_mgy,
        laterality,
        has_breast_item
    from timed
)

select * from final
