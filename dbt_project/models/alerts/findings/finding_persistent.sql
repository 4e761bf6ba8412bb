-- The procedure at which more of an operator's last procedures have a finding than chance explains; then not again until the
-- quiet days are over.
with recursive persistences as (
    select * from {{ ref('int_persistence') }}
    where n_found >= least_findings
),

judged as (
    select * from {{ ref('int_judged_finding') }}
),

thresholds as (
    select
        cast(max(threshold_value) filter (where name = 'quiet_days') as integer) as quiet_days,
        max(severity) as severity,
        max(audience) as audience,
        max(step) as step,
        max(rule_version) as rule_version
    from {{ ref('int_alert_threshold') }}
    where rule = 'persistent'
),

-- The row that fires if this one does: the first after its quiet days.
followed as (
    select
        persistences.*,
        row_number() over (partition by persistences.operator_id order by persistences.row_no) = 1 as is_first,
        min(persistences.row_no) over (
            partition by persistences.operator_id
            order by persistences.procedure_date
            range between {{ frame_bound('to_days(thresholds.quiet_days + 1)') }} following and unbounded following
        ) as next_row_no
    from persistences
    cross join thresholds
),

firings as (
    select * from followed
    where is_first
    union all
    select followed.*
    from followed
    inner join firings on followed.operator_id = firings.operator_id and followed.row_no = firings.next_row_no
),

-- The habit: the cause that most of the last rows have, of several as frequent none alone.
causes as (
    select
        firings.operator_id,
        firings.row_no,
        judged.main_cause,
        rank() over (partition by firings.operator_id, firings.row_no order by count(*) desc) as cause_rank
    from firings
    inner join judged
        on
            firings.operator_id = judged.operator_id
            and firings.row_no >= judged.row_no
            and firings.row_no < judged.row_no + firings.n_judged
    where judged.main_cause not in ('none', 'mixed')
    group by firings.operator_id, firings.row_no, judged.main_cause
),

habits as (
    select
        operator_id,
        row_no,
        case when count(*) = 1 then min(main_cause) else 'mixed' end as main_cause
    from causes
    where cause_rank = 1
    group by operator_id, row_no
),

fired as (
    select
        firings.*,
        thresholds.severity,
        thresholds.audience,
        thresholds.step,
        thresholds.rule_version,
        coalesce(habits.main_cause, 'none') as main_cause,
        firings.n_usual as usual,
        cast(null as date) as period_date,
        firings.procedure_date as occurred_on,
        'procedures_with_finding' as quantity,
        cast(firings.n_found as double) as finding_value,
        cast(firings.least_findings as double) as threshold,
        'procedures' as unit,
        firings.n_judged as n_reference,
        format(
            '{} of the last {} procedures have a finding; {:.1f} are usual for these procedures.',
            firings.n_found,
            firings.n_judged,
            firings.n_usual
        ) as message
    from firings
    cross join thresholds
    left join habits on firings.operator_id = habits.operator_id and firings.row_no = habits.row_no
),

final as (
    select
        {{ operator_finding('persistent', sets=['main_cause', 'usual']) }}
    from fired
    -- A study in two rooms is one finding: its higher value.
    qualify row_number() over (partition by alert_id order by fired.finding_value desc, fired.procedure_id asc) = 1
)

select * from final
