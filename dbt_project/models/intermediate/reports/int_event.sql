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
        events.*,
        reports.study_key,
        reports.room_id,
        reports.device_timezone,
        reports.version_rank,
        reports.lateness,
        -- The latest report's study owns the event; of equally late ones the first loaded (contract, Totals 6).
        first_value(reports.study_key) over (
            partition by events.irradiation_event_uid order by reports.lateness desc, reports.load_seq asc
        ) as owner_study_key
    from events
    inner join reports on events.load_seq = reports.load_seq
),

latest as (
    select *
    from sent
    where study_key = owner_study_key
    qualify row_number() over (partition by irradiation_event_uid order by version_rank desc, event_no asc) = 1
),

timed as (
    select
        *,
        case
            when utc_offset_min is not null
                then timezone('UTC', started_local - to_minutes(utc_offset_min))
            else timezone(device_timezone, started_local)
        end as started_at,
        coalesce(
            stated_duration_s,
            -- More than a day is no irradiation, but a fault of one of the two.
            case
                when pulse_rate_per_s > 0 and number_of_pulses <= 86400 * pulse_rate_per_s
                    then number_of_pulses / pulse_rate_per_s
            end
        ) as duration_s,
        case
            when stated_duration_s is not null then 'stated'
            when pulse_rate_per_s > 0 and number_of_pulses <= 86400 * pulse_rate_per_s then 'pulses'
        end as duration_source
    from latest
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
