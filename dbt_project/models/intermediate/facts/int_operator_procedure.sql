-- One row per operator and procedure, with the one badge that speaks for it and exact doses.
with badges as (
    select * from {{ ref('int_operator_badge') }}
),

logbook as (
    select * from {{ ref('int_logbook') }}
),

procedures as (
    select * from {{ ref('int_procedure') }}
),

c_arm_doses as (
    select * from {{ ref('int_c_arm_dose') }}
),

ranked as (
    select
        *,
        row_number() over (
            partition by procedure_id, operator_id
            order by
                -- A badge that shows nothing never hides one that does.
                list_position(['measured', 'zero', 'missing'], badge_status),
                worn_at = 'over_apron_collar' desc,
                n_linked_records desc,
                dosimeter_serial asc,
                badge_key asc
        ) as badge_rank,
        sum(linked_usv) over (partition by procedure_id, operator_id) as all_linked_usv,
        count(*) over (partition by procedure_id, operator_id) as n_badges
    from badges
),

chosen as (
    select * from ranked
    where badge_rank = 1
),

-- The dose itself shows who was there, else the logbook; a record of 0 shows nobody.
people as (
    select
        procedure_id,
        operator_id
    from chosen
    where badge_status = 'measured'
    union
    select
        procedure_id,
        operator_id
    from logbook
),

final as (
    select
        people.procedure_id,
        people.operator_id,
        logbook.role,
        chosen.worn_at,
        chosen.dosimeter_serial,
        chosen.badge_key,
        case
            when chosen.badge_status = 'missing' then null
            when coalesce(chosen.linked_usv, 0) = 0 and chosen.apportioned_usv > 0 then null
            when chosen.badge_status is not null then coalesce(chosen.linked_usv, 0)
        end as hp10_usv,
        chosen.apportioned_usv as hp10_apportioned_usv,
        case
            when chosen.n_badges > 1 then chosen.all_linked_usv - coalesce(chosen.linked_usv, 0)
        end as other_over_apron_usv,
        chosen.peak_rate_usv_per_h,
        case
            when chosen.badge_status != 'missing' then coalesce(chosen.link_method, 'none') else 'none'
        end as link_method,
        case when chosen.is_clock_known then 'high' else 'low' end as link_confidence,
        coalesce(chosen.badge_status, 'missing') as badge_status,
        procedures.study_name,
        procedures.site_id,
        procedures.room_id,
        procedures.procedure_type,
        procedures.procedure_date,
        procedures.started_at,
        procedures.kap_gy_cm2,
        c_arm_doses.c_arm_dose_usv
    from people
    inner join procedures on people.procedure_id = procedures.procedure_id
    left join chosen on people.procedure_id = chosen.procedure_id and people.operator_id = chosen.operator_id
    left join logbook on people.procedure_id = logbook.procedure_id and people.operator_id = logbook.operator_id
    left join c_arm_doses on people.procedure_id = c_arm_doses.procedure_id
)

select * from final
