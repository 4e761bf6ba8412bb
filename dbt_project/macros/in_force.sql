{# Whether a row with valid_from and valid_to (dates, both included; NULL: no end that way) holds on as_of. #}
{% macro in_force(relation) -%}
    coalesce({{ relation }}.valid_from <= {{ as_of() }}, true) and coalesce({{ relation }}.valid_to >= {{ as_of() }}, true)
{%- endmacro %}
