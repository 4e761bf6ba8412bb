-- Two independent paths: where dose of the badges of record went, by room, from the dispositions; what these badges registered,
-- from their days. What the known rooms do not account for is the unknown room's, so a lost dose shows there.
with disposed_doses as (
    select * from {{ ref('int_disposed_dose') }}
    where
        quantity = 'hp10'
        and layout != 'badge_periods'
        and disposition != 'covered'
        and reason is distinct from 'not_occupational'
),

badge_hours as (
    select * from {{ ref('int_badge_hour') }}
    where
        quantity = 'hp10'
        and layout != 'badge_periods'
        and worn_at = 'c_arm'
        and not is_not_occupational
        and token is null
),

residuals as (
    select * from {{ ref('int_hourly_residual') }}
    where quantity = 'hp10' and worn_at = 'c_arm' and not is_not_occupational
),

badges_of_record as (
    select * from {{ ref('int_electronic_day') }}
    where place = 'over_apron'
),

procedures as (
    select * from {{ ref('int_procedure') }}
),

of_staff as (
    select disposed_doses.*
    from disposed_doses
    inner join badges_of_record
        on
            disposed_doses.operator_id = badges_of_record.operator_id
            and disposed_doses.measured_date = badges_of_record.dose_date
            and disposed_doses.worn_at = badges_of_record.worn_at
            and disposed_doses.badge_key = badges_of_record.badge_key
),

disposed as (
    select
        *,
        'staff' as wearer_kind
    from of_staff
    union all
    select
        *,
        'c_arm' as wearer_kind
    from disposed_doses
    where worn_at = 'c_arm'
),

linked as (
    select unnest(['event', 'window', 'session', 'vendor', 'manual']) as disposition
),

by_room as (
    select
        coalesce(procedures.room_id, disposed.evident_room_id, 'unknown') as room_id,
        cast(date_trunc('month', disposed.measured_date) as date) as month,
        disposed.wearer_kind,
        {{ dose_sum("disposed.dose_usv") }} as disposed_usv,
        {{ dose_sum("case when linked.disposition is not null then disposed.dose_usv end") }} as linked_usv,
        {{ dose_sum("case when disposed.disposition = 'apportioned' then disposed.dose_usv end") }} as apportioned_usv,
        {{ dose_sum("case when disposed.disposition = 'unlinked' then disposed.dose_usv end") }} as unlinked_usv
    from disposed
    left join linked on disposed.disposition = linked.disposition
    left join procedures on disposed.procedure_id = procedures.procedure_id
    group by all
),

registered_doses as (
    select
        dose_date as measured_date,
        'staff' as wearer_kind,
        dose_usv
    from badges_of_record
    union all
    select
        measured_date,
        'c_arm' as wearer_kind,
        dose_usv
    from badge_hours
    union all
    -- What an hourly total repeats of the same badge's samples counts once.
    select
        measured_date,
        'c_arm' as wearer_kind,
        -covered_usv as dose_usv
    from residuals
),

registered as (
    select
        cast(date_trunc('month', measured_date) as date) as month,
        wearer_kind,
        {{ dose_sum('dose_usv') }} as registered_usv
    from registered_doses
    group by all
),

known_rooms as (
    select
        month,
        wearer_kind,
        {{ dose_sum('disposed_usv') }} as disposed_usv
    from by_room
    where room_id != 'unknown'
    group by all
),

unknown_room as (
    select
        'unknown' as room_id,
        registered.month,
        registered.wearer_kind,
        registered.registered_usv - coalesce(known_rooms.disposed_usv, 0) as registered_usv
    from registered
    left join known_rooms
        on registered.month = known_rooms.month and registered.wearer_kind = known_rooms.wearer_kind
),

final as (
    select
        coalesce(by_room.room_id, unknown_room.room_id) as room_id,
        coalesce(by_room.month, unknown_room.month) as month,
        coalesce(by_room.wearer_kind, unknown_room.wearer_kind) as wearer_kind,
        cast(
            case
                when by_room.room_id != 'unknown' then by_room.disposed_usv
                else coalesce(unknown_room.registered_usv, 0)
            end as {{ dose_type() }}
        ) as registered_usv,
        cast(coalesce(by_room.linked_usv, 0) as {{ dose_type() }}) as linked_usv,
        cast(coalesce(by_room.apportioned_usv, 0) as {{ dose_type() }}) as apportioned_usv,
        cast(coalesce(by_room.unlinked_usv, 0) as {{ dose_type() }}) as unlinked_usv
    from by_room
    full outer join unknown_room
        on
            by_room.room_id = unknown_room.room_id
            and by_room.month = unknown_room.month
            and by_room.wearer_kind = unknown_room.wearer_kind
    where by_room.room_id is not null or unknown_room.registered_usv != 0
)

select * from final
