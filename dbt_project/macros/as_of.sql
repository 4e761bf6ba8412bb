{# The valid-time date of this build; refuses to run without it. #}
{% macro as_of_text() -%}
    {%- if execute and not var('as_of') -%}
        {{ exceptions.raise_compiler_error("The variable as_of (an ISO date) is required: dbt build --vars '{as_of: 2024-03-31}'") }}
    {%- endif -%}
    {{ var('as_of') }}
{%- endmacro %}

{% macro as_of() -%}
    date '{{ as_of_text() }}'
{%- endmacro %}
