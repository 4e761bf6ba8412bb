{# A table that is built date by date: only dates whose inputs changed are rebuilt (macros/incremental_by_date.sql). Stale dates are built
   in batches, each in a transaction of its own and straight into the table. dbt-duckdb's "incremental" would build all new dates in one
   statement and one transaction, through a copy. A new table begins empty, with every date stale. #}
{% materialization incremental_by_date, adapter="duckdb", supported_languages=["sql"] %}
    {%- set target = this.incorporate(type="table") -%}
    {%- set existing = load_cached_relation(this) -%}
    {%- set partition = model.config.meta -%}
    {% do run_query("create or replace temporary table batch_date (partition_date date)") %}
    {% if existing is none or should_full_refresh() %}
        {% call statement("begin") -%}
            delete from ops.date_partition where model = '{{ this.identifier }}';
            drop table if exists {{ target }};
            {{ create_table_as(False, target, "select * from (" ~ compiled_code ~ ") limit 0") }}
        {%- endcall %}
        {% do adapter.commit() %}
    {% elif get_columns_in_query(compiled_code) | sort != adapter.get_columns_in_relation(existing) | map(attribute="name") | sort %}
        {% do exceptions.raise_compiler_error(this ~ " has other columns than its model: build it with --full-refresh.") %}
    {% endif %}
    {% for batch in batches_of_stale_dates(partition.date_column, ref(partition.fingerprints)) %}
        {% do start_batch(batch) %}
        {{ run_hooks(pre_hooks) }}
        {% call statement("main") -%}
            insert into {{ target }} by name {{ compiled_code }}
        {%- endcall %}
        {{ run_hooks(post_hooks) }}
        {% do adapter.commit() %}
    {% else %}
        {% call statement("main") %}select 'no date is stale'{% endcall %}
    {% endfor %}
    {% do persist_docs(target, model) %}
    {% do adapter.commit() %}
    {{ return({"relations": [target]}) }}
{% endmaterialization %}
