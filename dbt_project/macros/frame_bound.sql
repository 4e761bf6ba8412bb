{# How far a window's frame reaches, as an expression (a threshold of the seed, say). The linter knows constants only: it is
   shown one. #}
{% macro frame_bound(expression) -%}
    {{ expression if model is defined else 1 }}
{%- endmacro %}
