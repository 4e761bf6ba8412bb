-- Which electronic badges show a sign of life around which procedures of their wearer: any record that touches the
-- procedure's span and its margin, a record of 0 over a gap only at its two readings (contract, badge_status).
-- Joined by the day, so that not all records of a career are compared with all, and by the hour: with a margin of half an hour at least, no
-- hour reaches over a whole span, so one of its records touches the span if the first begins before its end and the last
-- ends after its begin.
with badge_hours as (
    select * from {{ ref('int_badge_hour') }}
    where quantity = 'hp10' and layout != 'badge_periods' and operator_id is not null and not is_not_occupational
),

procedure_clocks as (
    select * from {{ ref('int_procedure_clock') }}
),

logbook as (
    select * from {{ ref('int_logbook') }}
),

sources as (
    select * from {{ ref('stg_source') }}
),

margins as (
    select
        logbook.operator_id,
        procedure_clocks.procedure_id,
        procedure_clocks.clock_basis,
        procedure_clocks.started_at - to_hours({{ var('presence_margin_h') }}) as from_at,
        procedure_clocks.ended_at + to_hours({{ var('presence_margin_h') }}) as to_at,
        unnest(range(epoch_us(from_at) // 86400000000, epoch_us(to_at) // 86400000000 + 1)) as nth_day
    from logbook
    inner join procedure_clocks on logbook.procedure_id = procedure_clocks.procedure_id
),

telling as (
    select
        badge_hours.*,
        unnest(
            range(
                epoch_us(badge_hours.first_started_at) // 86400000000,
                epoch_us(badge_hours.last_ended_at) // 86400000000 + 1
            )
        ) as nth_day
    from badge_hours
    left join sources on badge_hours.source_id = sources.source_id
    -- A zero is no evidence where the source also writes zeros for badges that are not worn.
    where not (badge_hours.is_zero_total and sources.records_when_idle)
),

final as (
    select distinct
        margins.procedure_id,
        margins.operator_id,
        telling.dosimeter_serial,
        telling.badge_key
    from margins
    inner join telling
        on
            margins.operator_id = telling.operator_id
            and margins.clock_basis = telling.clock_basis
            and margins.nth_day = telling.nth_day
            and margins.to_at >= telling.first_started_at
            and margins.from_at <= telling.last_ended_at
    where
        not telling.is_silent_between
        or telling.first_started_at >= margins.from_at
        or telling.last_ended_at <= margins.to_at
)

select * from final
