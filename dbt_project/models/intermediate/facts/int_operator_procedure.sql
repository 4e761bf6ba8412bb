-- One row per operator and procedure, with its one badge of record and exact doses.
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

operators as (
    select * from {{ ref('stg_operator') }}
),

roles as (
    select * from {{ ref('operator_roles') }}
),

role_groups as (
    select * from {{ ref('role_groups') }}
),

thresholds as (
    select max(value) filter (where name = 'adult_age') as adult_age
    from {{ ref('comparison_thresholds') }}
),

ranked as (
    select
        *,
        row_number() over (
            partition by procedure_id, operator_id
            order by
                -- A badge without a record never replaces one with a record.
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

-- The dose itself shows who was present, otherwise the logbook; a record of 0 does not.
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

-- A role of the logbook, else the grade, decides the group; without both the only operator is the first.
grouped as (
    select
        people.procedure_id,
        people.operator_id,
        logbook.role,
        coalesce(
            roles.role_group,
            grades.role_group,
            case
                when bool_or(coalesce(groups_of_roles.is_operator, false)) over (partition by people.procedure_id)
                    then 'assisting'
                else 'first_operator'
            end
        ) as role_group
    from people
    left join logbook on people.procedure_id = logbook.procedure_id and people.operator_id = logbook.operator_id
    left join roles on logbook.role = roles.role
    left join role_groups as groups_of_roles on roles.role_group = groups_of_roles.role_group
    left join operators on people.operator_id = operators.operator_id
    left join role_groups as grades on operators.grade = grades.grade
),

final as (
    select
        grouped.procedure_id,
        grouped.operator_id,
        grouped.role,
        grouped.role_group,
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
        coalesce(procedures.patient_age_years < thresholds.adult_age, false) as is_child,
        procedures.kap_gy_cm2,
        procedures.fluoro_time_s,
        c_arm_doses.c_arm_dose_usv
    from grouped
    cross join thresholds
    inner join procedures on grouped.procedure_id = procedures.procedure_id
    left join chosen on grouped.procedure_id = chosen.procedure_id and grouped.operator_id = chosen.operator_id
    left join c_arm_doses on grouped.procedure_id = c_arm_doses.procedure_id
)

select * from final
