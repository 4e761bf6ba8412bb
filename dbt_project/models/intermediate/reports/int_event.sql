-- Each irradiation event once, in the study that owns it, with the values of that study's latest report.
{{ config(**incremental_by_date('report_day', 'int_report_day')) }}
with reports as (
    select * from {{ ref('int_report') }}
    where is_latest_of_sop and {{ is_in_batch('report_day') }}
),

events as (
    select * from {{ ref('int_sent_event') }}
),

not_counting as (
    select * from {{ ref('int_repeated_event') }}
    where not is_counting
),

timed as (
    select
        events.*,
        reports.report_day,
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
    inner join reports on events.load_seq = reports.load_seq
    anti join not_counting on events.load_seq = not_counting.load_seq and events.event_no = not_counting.event_no
),

final as (
    select
        report_day,
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
