-- Whether the patient was informed and the skin examined after a dose that requires it. The skin shows after two weeks at the
-- earliest: a patient seen before was informed, no more.
with skin_steps as (
    select * from {{ ref('int_skin_step') }}
),

followups as (
    select * from {{ ref('int_patient_followup') }}
    where procedure_id is not null
),

procedures as (
    select * from {{ ref('int_procedure') }}
),

needs as (
    select * from {{ ref('skin_followup') }}
),

twice as (
    select ka_r_from_mgy from needs
    where need = 'examine_twice'
),

needed as (
    select
        skin_steps.procedure_id,
        max(skin_steps.dose) filter (where skin_steps.quantity = 'ka_r') as ka_r_mgy,
        case
            when max(case when skin_steps.quantity = 'ka_r' then skin_steps.dose end) >= any_value(twice.ka_r_from_mgy)
                then 'examine_twice'
            when bool_or(skin_steps.severity = 'urgent') then 'examine'
            else 'inform'
        end as need
    from skin_steps
    cross join twice
    group by skin_steps.procedure_id
),

concerned as (
    select procedure_id from needed
    union
    select procedure_id from followups
),

reported as (
    select
        procedures.procedure_id,
        procedures.patient_key,
        procedures.procedure_date,
        needed.need,
        needed.ka_r_mgy,
        needs.inform_within_days,
        needs.see_from_day,
        needs.see_to_day,
        needs.second_from_month,
        needs.second_to_month,
        min(least(followups.informed_date, followups.seen_date)) as informed_date,
        min(followups.seen_date) filter (
            where followups.seen_date >= procedures.procedure_date + coalesce(needs.see_from_day, 0)
        ) as seen_date,
        min(followups.seen_date) filter (
            where followups.seen_date >= procedures.procedure_date + to_months(needs.second_from_month)
        ) as second_seen_date,
        max(followups.skin_grade) as skin_grade
    from concerned
    inner join procedures on concerned.procedure_id = procedures.procedure_id
    left join needed on concerned.procedure_id = needed.procedure_id
    left join needs on needed.need = needs.need
    left join followups on concerned.procedure_id = followups.procedure_id
    group by all
),

-- The last date of the next step; NULL: no step is open.
due as (
    select
        *,
        case
            when need is null or second_seen_date is not null then cast(null as date)
            when see_to_day is null and informed_date is null then procedure_date + inform_within_days
            when see_to_day is not null and seen_date is null then procedure_date + see_to_day
            when second_to_month is not null then cast(procedure_date + to_months(second_to_month) as date)
        end as due_date
    from reported
),

final as (
    select
        procedure_id,
        patient_key,
        procedure_date,
        coalesce(need, 'none') as need,
        cast(ka_r_mgy as double) as ka_r_mgy,
        informed_date as informed_on,
        seen_date as seen_on,
        second_seen_date as second_seen_on,
        skin_grade,
        due_date as due_on,
        case
            when need is null then 'not_needed'
            when due_date < {{ as_of() }} then 'overdue'
            when second_seen_date is not null then 'seen'
            -- Between the two examinations no step is open before the second may begin.
            when seen_date is not null and {{ as_of() }} >= procedure_date + to_months(second_from_month) then 'open'
            when seen_date is not null then 'seen'
            when informed_date is not null then 'informed'
            else 'open'
        end as state
    from due
)

select * from final
