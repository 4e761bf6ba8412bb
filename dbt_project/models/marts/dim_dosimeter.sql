with assignments as (
    select * from {{ ref('stg_badge_assignment') }}
),

final as (
    select
        dosimeter_serial,
        worn_at,
        operator_id,
        room_id,
        valid_from_date as valid_from,
        valid_to_date as valid_to,
        array_to_string(source_ids, ' ') as source_id
    from assignments
)

select * from final
