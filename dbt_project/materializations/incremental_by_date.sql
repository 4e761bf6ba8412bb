{# A table that keeps what earlier builds made of its dates (macros/kept_parts.sql). The dates that are due are made in blocks, each
   in a transaction of its own and straight into the table, without a copy of it first. dbt-duckdb's "incremental" makes all that is
   new in one statement and one transaction. A new table begins empty, with every date due. #}
{% materialization incremental_by_date, adapter="duckdb", supported_languages=["sql"] %}
    {%- set target = this.incorporate(type="table") -%}
    {%- set existing = load_cached_relation(this) -%}
    {%- set parts = model.config.meta -%}
    {% do run_query("create or replace temporary table part_now (part date)") %}
    {% if existing is none or should_full_refresh() %}
        {% call statement("begin") -%}
            delete from ops.part where model = '{{ this.identifier }}';
            drop table if exists {{ target }};
            {{ create_table_as(False, target, "select * from (" ~ compiled_code ~ ") limit 0") }}
        {%- endcall %}
        {% do adapter.commit() %}
    {% elif get_columns_in_query(compiled_code) | sort != adapter.get_columns_in_relation(existing) | map(attribute="name") | sort %}
        {% do exceptions.raise_compiler_error(this ~ " has other columns than its model: build it with --full-refresh.") %}
    {% endif %}
    {% for block in blocks_of_due_parts(parts.part, ref(parts.fingerprints)) %}
        {% do choose_parts(block) %}
        {{ run_hooks(pre_hooks) }}
        {% call statement("main") -%}
            insert into {{ target }} by name {{ compiled_code }}
        {%- endcall %}
        {{ run_hooks(post_hooks) }}
        {% do adapter.commit() %}
    {% else %}
        {% call statement("main") %}select 'no date is due'{% endcall %}
    {% endfor %}
    {% do persist_docs(target, model) %}
    {% do adapter.commit() %}
    {{ return({"relations": [target]}) }}
{% endmaterialization %}
