-- Sessions, counter steps and hourly residuals that may be linked, with the dose that no sample of theirs covers.
with doses as (
    select * from {{ ref('int_dose_evidence') }}
    where
        layout in ('sessions', 'counter_log', 'hourly_totals')
        and excluded_reason is null
        and manual_procedure_id is null
),

residuals as (
    select * from {{ ref('int_hourly_residual') }}
),

sources as (
    select * from {{ ref('stg_source') }}
),

declarations as (
    select * from {{ ref('stg_clock_declaration') }}
    where source_id is not null and room_id is null
),

-- A declaration wins over what would be estimated.
declared as (
    select distinct doses.dose_key
    from doses
    inner join declarations
        on
            doses.source_id = declarations.source_id
            and {{ is_valid_on('declarations', 'doses.measured_date') }}
),

spans as (
    select
        doses.dose_key,
        doses.source_id,
        doses.measured_date,
        doses.layout,
        doses.quantity,
        doses.started_at,
        doses.ended_at,
        doses.clock_basis,
        doses.layout in ('sessions', 'counter_log')
        and not coalesce(sources.has_hubs, false)
        and declared.dose_key is null as follows_reader,
        doses.operator_id,
        doses.c_arm_room_id,
        doses.evident_room_id,
        doses.evident_room_ids,
        cast(doses.dose_usv - coalesce(residuals.covered_usv, 0) as {{ dose_type() }}) as open_usv
    from doses
    left join residuals on doses.dose_key = residuals.dose_key
    left join sources on doses.source_id = sources.source_id
    left join declared on doses.dose_key = declared.dose_key
),

-- An hourly total that its samples explain wholly has no dose left to link.
final as (
    select * from spans
    where layout != 'hourly_totals' or open_usv > 0
)

select * from final
