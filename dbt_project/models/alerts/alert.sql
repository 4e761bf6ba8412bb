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

evidence as (
    select * from {{ ref('int_alert_evidence') }}
),

advice_rules as (
    select * from {{ ref('advice_rule') }}
),

-- What is known of the operator's procedure, else the quantity judged, leads to the likeliest cause.
advised as (
    select
        findings.alert_id,
        advice_rules.advice_code
    from findings
    left join evidence
        on findings.procedure_id = evidence.procedure_id and findings.operator_id = evidence.operator_id
    inner join advice_rules
        on
            findings.rule = advice_rules.rule
            and (
                advice_rules.evidence is null
                or advice_rules.evidence in (findings.step, coalesce(evidence.evidence, findings.quantity))
            )
    qualify row_number() over (
        partition by findings.alert_id
        order by (advice_rules.evidence = findings.step) desc nulls last, advice_rules.evidence nulls last
    ) = 1
),

final as (
    select
        findings.alert_id,
        findings.rule,
        findings.severity,
        findings.subject_type,
        findings.operator_id,
        findings.procedure_id,
        findings.patient_key,
        findings.room_id,
        findings.occurred_on,
        findings.quantity,
        findings.value,
        findings.threshold,
        findings.unit,
        findings.n_reference,
        findings.message,
        findings.step,
        findings.rule_version,
        findings.audience,
        coalesce(states.state, 'open') as state,
        advised.advice_code,
        findings.detail,
        findings.limit_rule,
        findings.dose_window,
        findings.role_group,
        findings.third_quartile,
        findings.floor,
        findings.decided_by,
        findings.main_cause,
        procedures.started_at as procedure_started_at,
        procedures.accession_number
    from findings
    left join procedures on findings.procedure_id = procedures.procedure_id
    left join advised on findings.alert_id = advised.alert_id
    left join states on findings.alert_id = states.alert_id
)

select * from final
