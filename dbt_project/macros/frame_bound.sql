{# Bound of a window frame as an expression, for example a threshold of a seed. The linter accepts constants only and gets one. #}
{% macro frame_bound(expression) -%}
    {{ expression if model is defined else 1 }}
{%- endmacro %}
