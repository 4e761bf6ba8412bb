-- Dose of a person at one place of the body on one day. Dose of record: the passive badge's where a result of it covers the
-- day, else the electronic badge's. Warning dose: the electronic dose of the days of a passive result, raised to the result
-- where that is higher (contract 2, Dose of staff).
with electronic as (
    select * from {{ ref('int_electronic_day') }}
),

passive as (
    select * from {{ ref('int_passive_day') }}
),

together as (
    select
        coalesce(passive.operator_id, electronic.operator_id) as operator_id,
        coalesce(passive.dose_date, electronic.dose_date) as dose_date,
        coalesce(passive.place, electronic.place) as place,
        coalesce(passive.worn_at, electronic.worn_at) as worn_at,
        passive.result_key,
        electronic.dose_usv as electronic_usv,
        passive.dose_usv as passive_usv,
        passive.high_usv as passive_high_usv,
        coalesce(passive.dose_usv, electronic.dose_usv) as dose_usv,
        case when passive.operator_id is not null then 'passive' else 'electronic' end as dose_source
    from electronic
    full outer join passive
        on
            electronic.operator_id = passive.operator_id
            and electronic.dose_date = passive.dose_date
            and electronic.place = passive.place
),

-- Both badges over all days that belong to the passive result of a day.
compared as (
    select
        *,
        coalesce(sum(electronic_usv) over of_result, 0) as electronic_of_result_usv,
        coalesce(sum(electronic_usv) over to_this_day, 0) as electronic_to_day_usv,
        sum(passive_usv) over of_result as passive_of_result_usv,
        sum(passive_high_usv) over of_result as passive_high_of_result_usv
    from together
    window
        of_result as (partition by operator_id, place, result_key),
        to_this_day as (partition by operator_id, place, result_key order by dose_date)
),

parts as (
    select
        *,
        {{ dose_digits('electronic_to_day_usv') }} as to_end,
        {{ dose_digits('electronic_to_day_usv - coalesce(electronic_usv, 0)') }} as to_begin,
        nullif({{ dose_digits('electronic_of_result_usv') }}, 0) as of_all,
        greatest(passive_of_result_usv, electronic_of_result_usv) as warning_of_result_usv,
        -- NULL: below a detection limit that is not stated.
        case
            when passive_high_usv is not null then greatest(passive_high_of_result_usv, electronic_of_result_usv)
        end as warning_high_of_result_usv
    from compared
),

final as (
    select
        operator_id,
        dose_date,
        place,
        worn_at,
        result_key,
        electronic_usv,
        passive_usv,
        dose_usv,
        dose_source,
        case
            when result_key is null then electronic_usv
            when of_all is null then passive_usv
            else {{ share_of_part('warning_of_result_usv', 'to_end', 'to_begin', 'of_all') }}
        end as warning_usv,
        case
            when result_key is null then electronic_usv
            when of_all is null then passive_high_usv
            else {{ share_of_part('warning_high_of_result_usv', 'to_end', 'to_begin', 'of_all') }}
        end as warning_high_usv,
        case
            when result_key is not null and (of_all is null or passive_of_result_usv > electronic_of_result_usv)
                then 'passive'
            else 'electronic'
        end as warning_source
    from parts
)

select * from final
