with events as (
    select * from {{ ref('int_event') }}
),

event_kap as (
    select * from {{ ref('int_event_kap') }}
),

procedures as (
    select * from {{ ref('int_procedure') }}
),

final as (
    select
        events.irradiation_event_uid,
        events.study_key,
        procedures.procedure_id,
        events.plane,
        case when events.event_type = 'ct_acquisition' then 'other' else events.event_type end as event_type,
        events.started_at,
        cast(events.duration_s as double) as duration_s,
        events.duration_source,
        cast(event_kap.kap_gy_cm2 as double) as kap_gy_cm2,
        cast(events.ka_r_mgy as double) as ka_r_mgy,
        cast(events.kvp as double) as kvp,
        cast(events.primary_angle_deg as double) as primary_angle_deg,
        cast(events.secondary_angle_deg as double) as secondary_angle_deg,
        events.acquisition_protocol
    from events
    left join event_kap on events.irradiation_event_uid = event_kap.irradiation_event_uid
    left join procedures on events.study_key = procedures.study_key and events.room_id = procedures.room_id
)

select * from final
