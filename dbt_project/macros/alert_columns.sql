{# The columns that every rule gives, in order, from a relation "fired" with the values that differ. #}
{% macro procedure_finding(rule, quantity, unit) -%}
    {{ alert_id('fired.site_id', "'" ~ rule ~ "'", step='fired.step', operator='fired.operator_id', study='fired.study_name') }} as alert_id,
        '{{ rule }}' as rule,
        fired.severity,
        'operator' as subject_type,
        fired.operator_id,
        fired.procedure_id,
        cast(null as varchar) as patient_key,
        fired.room_id,
        fired.procedure_date as occurred_on,
        '{{ quantity }}' as quantity,
        fired.finding_value as value,
        fired.threshold,
        '{{ unit }}' as unit,
        fired.n_reference,
        fired.message,
        fired.rule_version,
        fired.audience
{%- endmacro %}

{# The columns of a finding about an operator, in order, from a relation "fired": quantity, unit and period differ by row. #}
{% macro operator_finding(rule) -%}
    {{ alert_id('fired.site_id', "'" ~ rule ~ "'", step='fired.step', operator='fired.operator_id', study='fired.study_name', period='cast(fired.period_date as varchar)') }} as alert_id,
        '{{ rule }}' as rule,
        fired.severity,
        'operator' as subject_type,
        fired.operator_id,
        fired.procedure_id,
        cast(null as varchar) as patient_key,
        fired.room_id,
        fired.occurred_on,
        fired.quantity,
        fired.finding_value as value,
        fired.threshold,
        fired.unit,
        fired.n_reference,
        fired.message,
        fired.rule_version,
        fired.audience
{%- endmacro %}

{# The same for a rule whose findings are of several kinds: the subject decides what makes the identity. A study in two
   rooms is one finding, that of the higher value. #}
{% macro findings_of(rule) -%}
    select
        {{ alert_id(
            'fired.site_id',
            "'" ~ rule ~ "'",
            step='fired.step',
            operator='fired.operator_id',
            study='fired.study_name',
            patient="case when fired.subject_type = 'patient' then fired.patient_key end",
            room="case when fired.subject_type = 'room' then fired.room_id end",
            period='fired.period'
        ) }} as alert_id,
        '{{ rule }}' as rule,
        fired.severity,
        fired.subject_type,
        fired.operator_id,
        fired.procedure_id,
        fired.patient_key,
        fired.room_id,
        fired.occurred_on,
        fired.quantity,
        fired.finding_value as value,
        fired.threshold,
        fired.unit,
        fired.n_reference,
        fired.message,
        fired.rule_version,
        fired.audience
    from fired
    qualify row_number() over (partition by alert_id order by fired.finding_value desc, fired.procedure_id) = 1
{%- endmacro %}
