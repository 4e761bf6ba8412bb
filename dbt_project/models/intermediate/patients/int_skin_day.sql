-- What the peaks of skin dose of a local date's procedures are made from: their irradiation events, and
-- the constants of the skin dose.
with procedures as (
    select * from {{ ref('int_procedure') }}
),

skin_factors as (
    select * from {{ ref('skin_factor') }}
),

events as (
    select
        study_key,
        room_id,
        count(*) as n_events,
        sum(hash(load_seq, event_no, ka_r_mgy, primary_angle_deg, secondary_angle_deg)) as fingerprint
    from {{ ref('int_event') }}
    group by study_key, room_id
),

constants as (
    select {{ fingerprint_of('skin_factors') }} as fingerprint
    from skin_factors
),

final as (
    select
        procedures.procedure_date,
        cast(sum(events.n_events) as bigint) as n_rows,
        cast(sum(hash(procedures.procedure_id, events.fingerprint, constants.fingerprint)) as hugeint) as fingerprint
    from procedures
    inner join events on procedures.study_key = events.study_key and procedures.room_id = events.room_id
    cross join constants
    group by procedures.procedure_date
)

select * from final
