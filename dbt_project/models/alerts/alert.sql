with findings as (
    select * from {{ ref('finding_procedure_dose') }}
    union all by name
    select * from {{ ref('finding_dose_per_kap') }}
    union all by name
    select * from {{ ref('finding_dose_to_c_arm') }}
    union all by name
    select * from {{ ref('finding_absolute_dose') }}
    union all by name
    select * from {{ ref('finding_dose_limit') }}
    union all by name
    select * from {{ ref('finding_persistent') }}
    union all by name
    select * from {{ ref('finding_monthly_dose') }}
    union all by name
    select * from {{ ref('finding_badge_not_worn') }}
    union all by name
    select * from {{ ref('finding_badge_mismatch') }}
    union all by name
    select * from {{ ref('finding_pregnancy') }}
    union all by name
    select * from {{ ref('finding_patient_dose') }}
    union all by name
    select * from {{ ref('finding_reference_level') }}
    union all by name
    select * from {{ ref('finding_training_due') }}
    union all by name
    select * from {{ ref('finding_data_quality') }}
),

procedures as (
    select * from {{ ref('fct_procedure') }}
),

actions as (
    select * from {{ ref('stg_alert_action') }}
    where acted_on_date is null or acted_on_date <= {{ as_of() }}
),

answers as (
    {{ answers_to('findings', 'actions') }}
),

states as (
    select
        alert_id,
        case when action in ('closed', 'false_alarm') then 'closed' else 'acknowledged' end as state
    from answers
    qualify row_number() over (partition by alert_id order by acted_on_date desc nulls last, line desc) = 1
),

explanations as (
    select * from {{ ref('fct_dose_explanation') }}
),

advice_rules as (
    select * from {{ ref('advice_rule') }}
),

-- The main cause of the operator's dose: the habit that a finding names, else that of the procedure.
explained as (
    select
        findings.* exclude (main_cause),
        coalesce(findings.main_cause, explanations.main_cause) as main_cause
    from findings
    left join explanations
        on findings.procedure_id = explanations.procedure_id and findings.operator_id = explanations.operator_id
),

-- The main cause, else the quantity judged, leads to the advice.
advised as (
    select
        explained.alert_id,
        advice_rules.advice_code
    from explained
    inner join advice_rules
        on
            explained.rule = advice_rules.rule
            and (
                advice_rules.evidence is null
                or advice_rules.evidence in (explained.step, coalesce(explained.main_cause, explained.quantity))
            )
    qualify row_number() over (
        partition by explained.alert_id
        order by (advice_rules.evidence = explained.step) desc nulls last, advice_rules.evidence nulls last
    ) = 1
),

final as (
    select
        explained.alert_id,
        explained.rule,
        explained.severity,
        explained.subject_type,
        explained.operator_id,
        explained.procedure_id,
        explained.patient_key,
        explained.room_id,
        explained.occurred_on,
        explained.quantity,
        explained.value,
        explained.threshold,
        explained.unit,
        explained.n_reference,
        explained.message,
        explained.step,
        explained.rule_version,
        explained.audience,
        coalesce(states.state, 'open') as state,
        advised.advice_code,
        explained.detail,
        explained.limit_rule,
        explained.dose_window,
        explained.role_group,
        explained.third_quartile,
        explained.floor,
        explained.decided_by,
        explained.main_cause,
        explained.usual,
        procedures.started_at as procedure_started_at,
        procedures.accession_number
    from explained
    left join procedures on explained.procedure_id = procedures.procedure_id
    left join advised on explained.alert_id = advised.alert_id
    left join states on explained.alert_id = states.alert_id
)

select * from final
