{# DuckDB takes 80 % of the machine's memory, of which a build needs a part: it takes no more than that, and no more than there is. #}
{% macro limit_memory() %}
    {% set found = run_query("select parse_formatted_bytes(current_setting('memory_limit'))").columns[0][0] %}
    {% if found > var('memory_gb') * 1000 ** 3 %}
        {% do run_query("set memory_limit = '" ~ var('memory_gb') ~ "GB'") %}
    {% endif %}
{% endmacro %}
