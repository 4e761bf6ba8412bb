-- Offset between dosimeter clock and modality clock (dosimeter minus modality) for each room and local date with
-- procedures. So far only declared offsets are known; where none is, zero is assumed and said to be unknown.
with procedures as (
    select * from {{ ref('int_procedure') }}
),

declarations as (
    select * from {{ ref('stg_clock_declaration') }}
    where room_id is not null
),

room_days as (
    select
        room_id,
        procedure_date as offset_date,
        sum(irradiation_events) as n_events
    from procedures
    where room_id != 'unknown'
    group by all
),

final as (
    select
        room_days.room_id,
        room_days.offset_date,
        room_days.n_events,
        declarations.offset_s,
        case when declarations.room_id is not null then 'declared' else 'none' end as offset_method,
        declarations.room_id is not null as is_accepted
    from room_days
    left join declarations
        on
            room_days.room_id = declarations.room_id
            and room_days.offset_date >= declarations.valid_from_date
            and room_days.offset_date <= coalesce(declarations.valid_to_date, date '9999-12-31')
    qualify row_number() over (
        partition by room_days.room_id, room_days.offset_date order by declarations.valid_from_date desc nulls last
    ) = 1
)

select * from final
