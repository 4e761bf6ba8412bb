-- Share of a month's dose in a room that belongs to no procedure: of the staff's badges and of the C-arm's, apart, for a
-- C-arm badge shows a hundred times more. Passive badges are not in it, nor dose that the site declared not to be of a wearer.
with disposed_doses as (
    select * from {{ ref('int_disposed_dose') }}
    where
        quantity = 'hp10'
        and layout != 'badge_periods'
        and disposition != 'covered'
        and reason is distinct from 'not_occupational'
),

procedures as (
    select * from {{ ref('int_procedure') }}
),

placed as (
    select
        cast(date_trunc('month', disposed_doses.measured_date) as date) as month_date,
        case when disposed_doses.c_arm_room_id is null then 'staff' else 'c_arm' end as wearer,
        coalesce(procedures.room_id, disposed_doses.evident_room_id, 'unknown') as room_id,
        disposed_doses.disposition = 'unlinked' as is_unlinked,
        disposed_doses.dose_usv
    from disposed_doses
    left join procedures on disposed_doses.procedure_id = procedures.procedure_id
),

summed as (
    select
        month_date,
        wearer,
        room_id,
        {{ dose_sum('case when is_unlinked then dose_usv end') }} as unlinked_usv,
        {{ dose_sum('dose_usv') }} as registered_usv
    from placed
    group by all
),

-- Dose of no known room is all unlinked: it is judged against the whole month.
shares as (
    select
        *,
        case
            when room_id = 'unknown' then sum(registered_usv) over (partition by month_date, wearer)
            else registered_usv
        end as judged_usv,
        100 * cast(unlinked_usv as double) / nullif(cast(judged_usv as double), 0) as finding_value
    from summed
),

final as (
    select
        'unlinked_share' as threshold_name,
        wearer,
        room_id,
        month_date,
        finding_value,
        format(
            '{:.1f} % of the dose of {} in {} in {} belongs to no procedure ({:.1f} µSv).',
            finding_value,
            case wearer when 'staff' then 'the staff''s badges' else 'the C-arm''s badge' end,
            case when room_id = 'unknown' then 'no known room' else 'room ' || room_id end,
            strftime(month_date, '%Y-%m'),
            cast(unlinked_usv as double)
        ) as message
    from shares
    where finding_value is not null
)

select * from final
