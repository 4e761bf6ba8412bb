-- Which electronic badges show a sign of life around which procedures of their wearer: any record that touches the
-- procedure's span and its margin, a record of 0 over a gap only at its two readings (contract, badge_status).
with doses as (
    select * from {{ ref('int_dose_evidence') }}
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
        procedure_clocks.ended_at + to_hours({{ var('presence_margin_h') }}) as to_at
    from logbook
    inner join procedure_clocks on logbook.procedure_id = procedure_clocks.procedure_id
),

telling as (
    select
        doses.*,
        -- A step over missing readings that brought nothing says nothing of the time between them.
        doses.dose_usv = 0 and (doses.is_gap or doses.layout = 'counter_log') as is_silent_between
    from doses
    left join sources on doses.source_id = sources.source_id
    where
        -- A source that writes zeros also for badges that nobody wears proves nothing with a zero.
        not (doses.dose_usv = 0 and doses.layout in ('hourly_totals', 'counter_log') and sources.records_when_idle)
),

final as (
    select distinct
        margins.procedure_id,
        margins.operator_id,
        telling.dosimeter_serial
    from margins
    inner join telling
        on
            margins.operator_id = telling.operator_id
            and margins.clock_basis = telling.clock_basis
            and margins.to_at >= telling.started_at
            and margins.from_at <= telling.ended_at
    where
        not coalesce(telling.is_silent_between, false)
        or telling.started_at >= margins.from_at
        or telling.ended_at <= margins.to_at
)

select * from final
