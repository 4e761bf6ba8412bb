{# Instead of dbt-duckdb's: a table is made anew in the place of the old one, in one transaction. Whoever reads sees the old
   one or the new one; a run that is killed or fails leaves the old one. dbt-duckdb's makes it under another name and
   renames both: four more statements for each of a hundred tables a night, a quarter of what dbt itself takes. #}
{% materialization table, adapter="duckdb", supported_languages=["sql", "python"] %}
    {%- set target = this.incorporate(type="table") -%}
    {{ run_hooks(pre_hooks) }}
    {% if model.language == "sql" %}
        {% call statement("main") -%}
            drop table if exists {{ target }};
            {{ create_table_as(False, target, compiled_code) }}
        {%- endcall %}
    {% else %}
        {# Python writes on a connection of its own, and may read what it made last time: it needs another name. #}
        {%- set made = make_intermediate_relation(target) -%}
        {% do drop_relation_if_exists(load_cached_relation(made)) %}
        {% call statement("main", language="python") -%}
            {{ create_table_as(False, made, compiled_code, "python") }}
        {%- endcall %}
        {% call statement("swap") -%}
            drop table if exists {{ target }};
            alter table {{ made }} rename to {{ target.identifier }};
        {%- endcall %}
    {% endif %}
    {{ run_hooks(post_hooks) }}
    {% do adapter.commit() %}
    {{ return({"relations": [target]}) }}
{% endmaterialization %}
