{# Limits a build to memory_gb: DuckDB's own limit is 80 % of the machine's memory. A lower limit of DuckDB is kept. #}
{% macro limit_memory() %}
    {% set found = run_query("select parse_formatted_bytes(current_setting('memory_limit'))").columns[0][0] %}
    {% if found > var('memory_gb') * 1000 ** 3 %}
        {% do run_query("set memory_limit = '" ~ var('memory_gb') ~ "GB'") %}
    {% endif %}
{% endmacro %}
