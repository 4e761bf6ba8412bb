-- Sessions, counter steps and hourly residuals that may be linked, with the dose that no sample of theirs covers.
with doses as (
    select * from {{ ref('int_dose_evidence') }}
    where
        layout in ('sessions', 'counter_log', 'hourly_totals')
        and barred_reason is null
        and manual_procedure_id is null
),

residuals as (
    select * from {{ ref('int_hourly_residual') }}
),

spans as (
    select
        doses.dose_key,
        doses.measured_date,
        doses.layout,
        doses.quantity,
        doses.started_at,
        doses.ended_at,
        doses.clock_basis,
        doses.operator_id,
        doses.c_arm_room_id,
        doses.evident_room_id,
        doses.evident_room_ids,
        cast(doses.dose_usv - coalesce(residuals.covered_usv, 0) as {{ dose_type() }}) as open_usv
    from doses
    left join residuals on doses.dose_key = residuals.dose_key
),

-- An hourly total that its samples explain wholly leaves nothing to link.
final as (
    select * from spans
    where layout != 'hourly_totals' or open_usv > 0
)

select * from final
