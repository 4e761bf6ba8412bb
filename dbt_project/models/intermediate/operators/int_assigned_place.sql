-- Where badges of a person are assigned on a day that has a result of any of them. A badge without any record is
-- electronic if its assignment names a source of electronic badges; these all measure Hp(10).
with days as (
    select distinct
        operator_id,
        dose_date
    from {{ ref('int_operator_day') }}
),

assignments as (
    select
        *,
        {{ badge_key('dosimeter_serial', 'source_ids') }} as badge_key
    from {{ ref('stg_badge_assignment') }}
),

places as (
    select * from {{ ref('badge_places') }}
),

sources as (
    select * from {{ ref('stg_source') }}
    where layout != 'badge_periods'
),

electronic_badges as (
    select distinct
        badge_key,
        quantity
    from {{ ref('int_badge_hour') }}
    where layout != 'badge_periods'
    union
    select
        assignments.badge_key,
        'hp10' as quantity
    from assignments
    inner join sources on list_contains(assignments.source_ids, sources.source_id)
),

final as (
    select
        days.operator_id,
        days.dose_date,
        places.place,
        bool_or(electronic_badges.badge_key is not null) as is_electronic
    from days
    inner join assignments
        on
            days.operator_id = assignments.operator_id
            and {{ is_valid_on('assignments', 'days.dose_date') }}
    inner join places on assignments.worn_at = places.worn_at
    left join electronic_badges
        on assignments.badge_key = electronic_badges.badge_key and places.quantity = electronic_badges.quantity
    group by all
)

select * from final
