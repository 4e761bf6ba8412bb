{# Identity of a finding: site, rule, step, operator, study, patient, room (rules about rooms only), period. Value, threshold
   and severity are not in it, so that a corrected value does not make a new finding. #}
{% macro alert_id(site_id, rule, step="''", operator="''", study="''", patient="''", room="''", period="''") -%}
    left(sha256(concat_ws(chr(31), {{ site_id }}, {{ rule }}, coalesce({{ step }}, ''), coalesce({{ operator }}, ''), coalesce({{ study }}, ''), coalesce({{ patient }}, ''), coalesce({{ room }}, ''), coalesce({{ period }}, ''))), 32)
{%- endmacro %}
