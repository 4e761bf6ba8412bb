-- The procedure at which the C-arm badge of a room leaves its tolerance: a finding.
with levels as (
    select * from {{ ref('int_c_arm_level') }}
),

-- Not again while it stays outside.
left_tolerance as (
    select *
    from levels
    where is_outside
    qualify procedure_no is distinct from lag(procedure_no) over (partition by room_id order by procedure_no) + 1
),

final as (
    select
        'c_arm_drift' as threshold_name,
        room_id,
        procedure_date as occurred_on,
        max(difference_percent) as finding_value,
        arg_max(n_reference, difference_percent) as n_reference,
        format(
            'The C-arm badge of room {} shows {:.3g} µSv per Gy·cm² in the last procedures, {:.3g} before (n = {}).',
            room_id,
            arg_max(recent_median, difference_percent),
            arg_max(reference_median, difference_percent),
            arg_max(n_reference, difference_percent)
        ) as message
    from left_tolerance
    group by room_id, procedure_date
)

select * from final
