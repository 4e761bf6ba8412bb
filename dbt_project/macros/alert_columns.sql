{# The columns of a finding, in order, from a relation "fired" with what differs by row; what a rule gives all its findings
   alike is an argument, as SQL. "sets" names those of the columns of some rules that this rule has; the others are NULL. The
   subject decides whether patient and room are part of the identity. #}
{% macro finding(
    rule,
    subject_type='fired.subject_type',
    patient_key='fired.patient_key',
    occurred_on='fired.occurred_on',
    quantity='fired.quantity',
    unit='fired.unit',
    period='fired.period',
    sets=[]
) -%}
    {%- set columns_of_some_rules = {
        'detail': 'varchar',
        'limit_rule': 'varchar',
        'dose_window': 'varchar',
        'role_group': 'varchar',
        'third_quartile': 'double',
        'floor': 'double',
        'decided_by': 'varchar',
        'main_cause': 'varchar',
        'usual': 'double',
    } -%}
    {{ alert_id(
            'fired.site_id',
            "'" ~ rule ~ "'",
            step='fired.step',
            operator='fired.operator_id',
            study='fired.study_name',
            patient="case when " ~ subject_type ~ " = 'patient' then " ~ patient_key ~ " end",
            room="case when " ~ subject_type ~ " = 'room' then fired.room_id end",
            period=period
        ) }} as alert_id,
        '{{ rule }}' as rule,
        fired.severity,
        {{ subject_type }} as subject_type,
        fired.operator_id,
        fired.procedure_id,
        {{ patient_key }} as patient_key,
        fired.room_id,
        {{ occurred_on }} as occurred_on,
        {{ quantity }} as quantity,
        fired.finding_value as value,
        fired.threshold,
        {{ unit }} as unit,
        fired.n_reference,
        fired.message,
        fired.step,
        fired.rule_version,
        fired.audience
        {%- for name, type in columns_of_some_rules.items() %},
        {{ 'fired.' ~ name if name in sets else 'cast(null as ' ~ type ~ ')' }} as {{ name }}
        {%- endfor %}
{%- endmacro %}

{# About an operator in a procedure: the procedure is its identity. #}
{% macro procedure_finding(rule, quantity, unit, sets=[]) -%}
    {{ finding(
        rule,
        subject_type="'operator'",
        patient_key='cast(null as varchar)',
        occurred_on='fired.procedure_date',
        quantity="'" ~ quantity ~ "'",
        unit="'" ~ unit ~ "'",
        period='cast(null as varchar)',
        sets=sets
    ) }}
{%- endmacro %}

{# About an operator: quantity, unit and period differ by row. #}
{% macro operator_finding(rule, sets=[]) -%}
    {{ finding(
        rule,
        subject_type="'operator'",
        patient_key='cast(null as varchar)',
        period='cast(fired.period_date as varchar)',
        sets=sets
    ) }}
{%- endmacro %}

{# About a limit of an operator: limit and window are stated beside it. #}
{% macro limit_finding(rule) -%}
    {{ finding(
        rule,
        subject_type="'operator'",
        patient_key='cast(null as varchar)',
        period='cast(fired.period_date as varchar)',
        limit_rule='fired.limit_rule',
        dose_window='fired.dose_window'
    ) }}
{%- endmacro %}

{# Of a rule whose findings are of several kinds. A study in two rooms is one finding, that of the higher value. #}
{% macro findings_of(rule, sets=[]) -%}
    select
        {{ finding(rule, sets=sets) }}
    from fired
    qualify row_number() over (partition by alert_id order by fired.finding_value desc, fired.procedure_id) = 1
{%- endmacro %}
