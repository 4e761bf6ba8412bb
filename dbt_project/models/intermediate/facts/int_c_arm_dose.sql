-- Dose at the C-arm reference badge of the procedure's room: the linked dose; 0 where the badge had records that day but
-- none belongs here; no row where it had none.
with procedures as (
    select * from {{ ref('int_procedure') }}
),

disposed_doses as (
    select * from {{ ref('int_disposed_dose') }}
    where c_arm_room_id is not null and quantity = 'hp10' and layout != 'badge_periods'
),

alive as (
    select distinct
        c_arm_room_id as room_id,
        measured_date
    from {{ ref('int_badge_hour') }}
    where c_arm_room_id is not null and quantity = 'hp10' and layout != 'badge_periods' and token is null
),

linked as (
    select
        procedure_id,
        {{ dose_sum('dose_usv') }} as c_arm_dose_usv
    from disposed_doses
    where disposition in ('event', 'window', 'session', 'vendor', 'manual')
    group by procedure_id
),

final as (
    select
        procedures.procedure_id,
        cast(coalesce(linked.c_arm_dose_usv, 0) as {{ dose_type() }}) as c_arm_dose_usv
    from procedures
    inner join alive
        on procedures.room_id = alive.room_id and procedures.procedure_date = alive.measured_date
    left join linked on procedures.procedure_id = linked.procedure_id
)

select * from final
