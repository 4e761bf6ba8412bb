-- Irradiation events with their calibrated KAP, by the factor of their study, room and plane.
{{ config(materialized='view') }}
with events as (
    select * from {{ ref('int_event') }}
),

kap_factors as (
    select * from {{ ref('int_kap_factor') }}
),

final as (
    select
        events.*,
        cast(events.reported_kap_gy_cm2 as decimal(26, 12)) * kap_factors.kap_factor as kap_gy_cm2
    from events
    left join kap_factors
        on
            events.study_key = kap_factors.study_key
            and events.room_id = kap_factors.room_id
            and events.plane = kap_factors.plane
)

select * from final
