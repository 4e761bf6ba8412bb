-- When the beam of a procedure's events was on, by the dosimeters' clocks, clipped to the next start on the plane.
{{ config(**incremental_by_date('report_day', 'int_beam_day')) }}
with events as (
    select * from {{ ref('int_event') }}
    where started_at is not null and {{ is_input_of_batch('report_day', 'report_day', 'int_beam_day', 'reached_days') }}
),

procedure_clocks as (
    select * from {{ ref('int_procedure_clock') }}
),

clipped as (
    select
        report_day,
        irradiation_event_uid,
        hash(irradiation_event_uid) as event_hash,
        study_key,
        room_id,
        plane,
        started_at,
        least(
            {{ moved_by('started_at', 'coalesce(duration_s, 0)') }},
            coalesce(
                lead(started_at) over (partition by room_id, plane order by started_at, irradiation_event_uid),
                timestamptz '9999-12-31'
            )
        ) as ended_at
    from events
),

final as (
    select
        clipped.report_day,
        clipped.irradiation_event_uid,
        clipped.event_hash,
        procedure_clocks.procedure_id,
        procedure_clocks.procedure_hash,
        procedure_clocks.room_id,
        procedure_clocks.clock_basis,
        clipped.plane,
        procedure_clocks.uncertainty_s,
        {{ moved_by('clipped.started_at', 'procedure_clocks.shift_s') }} as started_at,
        {{ moved_by('clipped.ended_at', 'procedure_clocks.shift_s') }} as ended_at
    from clipped
    inner join procedure_clocks
        on clipped.study_key = procedure_clocks.study_key and clipped.room_id = procedure_clocks.room_id
    where {{ is_in_batch('clipped.report_day') }}
)

select * from final
