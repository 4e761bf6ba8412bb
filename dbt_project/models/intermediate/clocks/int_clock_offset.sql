-- The offset in force for each room and local date with procedures: a declared one wins, else the estimate or the one
-- carried, else none: then zero is assumed and links are of low confidence.
with procedures as (
    select * from {{ ref('int_procedure') }}
),

estimates as (
    select * from {{ ref('int_clock_estimate') }}
),

declarations as (
    select * from {{ ref('stg_clock_declaration') }}
    where room_id is not null
),

room_days as (
    select
        room_id,
        procedure_date as offset_date,
        sum(irradiation_events) as n_events,
        min(procedure_date) over (partition by room_id) as first_date
    from procedures
    where room_id != 'unknown'
    group by room_id, procedure_date
),

declared as (
    select
        room_days.room_id,
        room_days.offset_date,
        declarations.offset_s
    from room_days
    inner join declarations
        on
            room_days.room_id = declarations.room_id
            and {{ is_valid_on('declarations', 'room_days.offset_date') }}
    qualify row_number() over (
        partition by room_days.room_id, room_days.offset_date order by declarations.valid_from_date desc
    ) = 1
),

final as (
    select
        room_days.room_id,
        room_days.offset_date,
        room_days.n_events,
        case
            when declared.room_id is not null then 'declared' else coalesce(estimates.offset_method, 'none')
        end as offset_method,
        cast(coalesce(declared.offset_s, estimates.offset_s) as decimal(18, 6)) as offset_s,
        case
            when declared.room_id is null then cast(estimates.uncertainty_s as decimal(18, 6))
        end as uncertainty_s,
        estimates.offset_s as estimated_offset_s,
        estimates.correlation,
        estimates.peak_ratio,
        declared.room_id is not null or coalesce(estimates.is_own, false) as is_accepted,
        coalesce(estimates.is_step, false) as is_step,
        estimates.step_s,
        -- Days of unknown clock; a clock that was never known is unknown since the room's first day.
        case
            when declared.room_id is null and coalesce(estimates.offset_method, 'none') = 'none'
                then room_days.offset_date - coalesce(estimates.last_accepted_date, room_days.first_date)
            else 0
        end as unknown_days
    from room_days
    left join estimates
        on room_days.room_id = estimates.room_id and room_days.offset_date = estimates.offset_date
    left join declared
        on room_days.room_id = declared.room_id and room_days.offset_date = declared.offset_date
)

select * from final
