-- Which procedures have a page in this publication. Pages link to these only; the rest is made on request.
{{ config(schema='marts') }}
with findings as (
    select * from {{ ref('alert') }}
    where state = 'open' and audience != 'restricted' and procedure_id is not null
),

followups as (
    select * from {{ ref('fct_skin_followup') }}
    where due_on is not null and state != 'seen'
),

procedures as (
    select * from {{ ref('fct_procedure') }}
),

doses as (
    select * from {{ ref('fct_operator_procedure') }}
    where hp10_usv is not null
),

explanations as (
    select * from {{ ref('fct_dose_explanation') }}
),

-- Each operator's highest of the last days, against usual where that is known.
highest as (
    select doses.procedure_id
    from doses
    inner join procedures
        on
            doses.procedure_id = procedures.procedure_id
            and procedures.procedure_date > {{ as_of() }} - {{ var('page_days') }}
    left join explanations
        on doses.procedure_id = explanations.procedure_id and doses.operator_id = explanations.operator_id
    qualify row_number() over (
        partition by doses.operator_id
        order by explanations.hp10_ratio desc nulls last, doses.hp10_usv desc, doses.procedure_id asc
    ) <= {{ var('page_highest') }}
),

reasons as (
    select
        procedure_id,
        'recent_finding' as reason
    from findings
    where occurred_on > {{ as_of() }} - {{ var('page_days') }}
    union all
    select
        procedure_id,
        'urgent_finding' as reason
    from findings
    where severity = 'urgent'
    union all
    select
        procedure_id,
        'skin_followup' as reason
    from followups
    union all
    select
        procedure_id,
        'highest_of_operator' as reason
    from highest
),

final as (
    select
        procedures.procedure_id,
        bool_or(reasons.reason = 'recent_finding') as has_recent_finding,
        bool_or(reasons.reason = 'urgent_finding') as has_urgent_finding,
        bool_or(reasons.reason = 'skin_followup') as has_skin_followup,
        bool_or(reasons.reason = 'highest_of_operator') as is_highest_of_operator
    from reasons
    inner join procedures on reasons.procedure_id = procedures.procedure_id
    group by procedures.procedure_id
)

select * from final
