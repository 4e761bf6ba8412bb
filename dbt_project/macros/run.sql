{# What this run is for: ops.run, one row with as_of and may_become_current. The nightly job writes it before dbt starts. It is
   no variable, because dbt would parse the whole project again for another date.
   By hand: dbt run-operation set_run --args '{as_of: 2024-03-31}' #}

{# The valid-time date of this build, site-local; there is no "today" in a model. #}
{% macro as_of() -%}
    date '{{ run_value("as_of") }}'
{%- endmacro %}

{# Whether this build's publication may become the current one; a build for a date before that one's may not. #}
{% macro may_become_current() -%}
    cast('{{ run_value("may_become_current") }}' as boolean)
{%- endmacro %}

{% macro run_value(column) -%}
    {%- if execute -%}
        {%- set rows = run_query("select cast(" ~ column ~ " as varchar) from ops.run").rows -%}
        {%- if rows | length != 1 -%}
            {{ exceptions.raise_compiler_error("ops.run has no date to build for: dbt run-operation set_run --args '{as_of: 2024-03-31}'") }}
        {%- endif -%}
        {{ rows[0][0] }}
    {%- endif -%}
{%- endmacro %}

{% macro set_run(as_of, may_become_current=true) %}
    {% do run_query("create schema if not exists ops") %}
    {% do run_query("create or replace table ops.run as select date '" ~ as_of ~ "' as as_of, " ~ may_become_current ~ " as may_become_current") %}
{% endmacro %}
