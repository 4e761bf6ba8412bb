-- The irradiation events as they were sent, under the UID that identifies each.
{{ config(materialized='view') }}
with events as (
    select
        * exclude (irradiation_event_uid),
        irradiation_event_uid as sent_event_uid
    from {{ ref('stg_irradiation_event') }}
),

resent as (
    select * from {{ ref('int_resent_event') }}
),

final as (
    select
        events.*,
        coalesce(resent.irradiation_event_uid, events.sent_event_uid) as irradiation_event_uid
    from events
    left join resent on events.load_seq = resent.load_seq and events.event_no = resent.event_no
)

select * from final
