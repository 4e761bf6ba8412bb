{# Instead of dbt-duckdb's: what is due is made by the block (macros/kept_parts.sql), each in a transaction of its own and
   straight into the table, without a copy of it first. A new table begins empty, with every part due. A model that names
   no parts is one block: its SQL and its hook say what is new. #}
{% materialization incremental, adapter="duckdb", supported_languages=["sql"] %}
    {%- set target = this.incorporate(type="table") -%}
    {%- set standing = load_cached_relation(this) -%}
    {%- set parts = model.config.meta -%}
    {% do run_query("create or replace temporary table part_now (part date)") %}
    {% if standing is none or should_full_refresh() %}
        {% call statement("begin") -%}
            delete from ops.part where model = '{{ this.identifier }}';
            drop table if exists {{ target }};
            {{ create_table_as(False, target, "select * from (" ~ compiled_code ~ ") limit 0") }}
        {%- endcall %}
        {% do adapter.commit() %}
    {% elif get_columns_in_query(compiled_code) | sort != adapter.get_columns_in_relation(standing) | map(attribute="name") | sort %}
        {% do exceptions.raise_compiler_error(this ~ " has other columns than its model: build it with --full-refresh.") %}
    {% endif %}
    {% set blocks = blocks_of_due_parts(parts.part, ref(parts.fingerprints)) if parts.part else [0] %}
    {% for block in blocks %}
        {% if parts.part %}{% do choose_parts(block) %}{% endif %}
        {{ run_hooks(pre_hooks) }}
        {% call statement("main") -%}
            insert into {{ target }} by name {{ compiled_code }}
        {%- endcall %}
        {{ run_hooks(post_hooks) }}
        {% do adapter.commit() %}
    {% else %}
        {% call noop_statement("main", "OK") %}{% endcall %}
    {% endfor %}
    {{ return({"relations": [target]}) }}
{% endmaterialization %}
