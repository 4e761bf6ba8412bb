-- The procedure at which several of an operator's last procedures have a dose finding, where at the one before there were
-- fewer.
with operator_procedures as (
    select * from {{ ref('int_operator_procedure') }}
    where hp10_usv is not null
),

dose_findings as (
    select
        operator_id,
        procedure_id
    from {{ ref('finding_procedure_dose') }}
    union
    select
        operator_id,
        procedure_id
    from {{ ref('finding_dose_per_kap') }}
    union
    select
        operator_id,
        procedure_id
    from {{ ref('finding_dose_to_c_arm') }}
),

thresholds as (
    select
        max(threshold_value) filter (where name = 'min_rows') as least_findings,
        max(threshold_value) filter (where name = 'last_rows') as row_count,
        max(severity) as severity,
        max(audience) as audience,
        max(step) as step,
        max(rule_version) as rule_version
    from {{ ref('int_alert_threshold') }}
    where rule = 'persistent'
    having max(rule) is not null
),

running as (
    select
        operator_procedures.*,
        thresholds.*,
        count(dose_findings.procedure_id) over (
            partition by operator_procedures.operator_id
            order by operator_procedures.started_at, operator_procedures.procedure_id
        ) as n_so_far
    from operator_procedures
    cross join thresholds
    left join dose_findings
        on
            operator_procedures.operator_id = dose_findings.operator_id
            and operator_procedures.procedure_id = dose_findings.procedure_id
),

counted as (
    select
        *,
        n_so_far - lag(n_so_far, cast(row_count as bigint), 0) over (
            partition by operator_id order by started_at, procedure_id
        ) as n_with_finding
    from running
),

fired as (
    select
        *,
        cast(null as date) as period_date,
        procedure_date as occurred_on,
        'procedures_with_finding' as quantity,
        cast(n_with_finding as double) as finding_value,
        least_findings as threshold,
        'procedures' as unit,
        cast(null as bigint) as n_reference,
        format(
            '{} of the last {} procedures have a dose finding (dose for the class, dose per KAP or dose to C-arm).',
            n_with_finding,
            cast(row_count as bigint)
        ) as message
    from counted
    qualify
        n_with_finding >= least_findings
        and coalesce(
            lag(n_with_finding) over (partition by operator_id order by started_at, procedure_id), 0
        ) < least_findings
),

final as (
    select
        {{ operator_finding('persistent') }}
    from fired
    -- A study in two rooms is one finding: its higher value.
    qualify row_number() over (partition by alert_id order by fired.finding_value desc, fired.procedure_id asc) = 1
)

select * from final
