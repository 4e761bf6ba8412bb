{# The answers to findings, one row per finding and answer: an answer names a finding by its alert_id or at least the first
   8 characters of it, or all findings of a procedure by procedure:<procedure_id>. #}
{% macro answers_to(findings, actions) -%}
    select
        {{ findings }}.alert_id,
        {{ actions }}.action,
        {{ actions }}.acted_on_date,
        {{ actions }}.line
    from {{ findings }}
    inner join {{ actions }}
        on
            left({{ findings }}.alert_id, 8) = left({{ actions }}.alert_id, 8)
            and starts_with({{ findings }}.alert_id, {{ actions }}.alert_id)
    union all
    select
        {{ findings }}.alert_id,
        {{ actions }}.action,
        {{ actions }}.acted_on_date,
        {{ actions }}.line
    from {{ findings }}
    inner join {{ actions }} on 'procedure:' || {{ findings }}.procedure_id = {{ actions }}.alert_id
{%- endmacro %}

{# Identity of a finding: site, rule, step, operator, study, patient, room (rules about rooms only), period. Value, threshold
   and severity are not in it, so that a corrected value does not make a new finding. #}
{% macro alert_id(site_id, rule, step="''", operator="''", study="''", patient="''", room="''", period="''") -%}
    left(sha256(concat_ws(chr(31), {{ site_id }}, {{ rule }}, coalesce({{ step }}, ''), coalesce({{ operator }}, ''), coalesce({{ study }}, ''), coalesce({{ patient }}, ''), coalesce({{ room }}, ''), coalesce({{ period }}, ''))), 32)
{%- endmacro %}
