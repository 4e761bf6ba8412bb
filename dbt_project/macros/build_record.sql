{# ops.build: one row per dbt invocation that wrote tables, so that a verdict can be tied to this content of the database. #}
{% macro begin_build() %}
    {% if execute and flags.WHICH in ('run', 'build', 'seed') %}
        {% do limit_memory() %}
        {% do run_query("create schema if not exists ops") %}
        {% do run_query("create table if not exists ops.run (as_of date not null, may_become_current boolean not null)") %}
        {% do run_query("create table if not exists ops.build (build_no bigint not null, build_id varchar primary key, started_at timestamptz not null, finished_at timestamptz, as_of date not null, is_complete boolean not null, succeeded boolean not null, failures varchar)") %}
        {# The fingerprint that each date of an incremental model was built from: macros/incremental_by_date.sql. #}
        {% do run_query("create table if not exists ops.date_partition (model varchar not null, partition_date date not null, fingerprint hugeint not null, build_id varchar not null)") %}
        {# Builds are ordered by a number: a clock may be set back. #}
        {% do run_query("insert into ops.build select coalesce(max(build_no), 0) + 1, '" ~ invocation_id ~ "', now(), null, " ~ as_of() ~ ", false, false, null from ops.build") %}
    {% endif %}
{% endmacro %}

{% macro end_build(results) %}
    {% if execute and flags.WHICH in ('run', 'build', 'seed') %}
        {% set failures = [] %}
        {% set built = [] %}
        {% for result in results %}
            {% if result.status in ('error', 'fail', 'skipped') %}
                {% do failures.append(result.node.name ~ ': ' ~ (result.message or result.status)) %}
            {% endif %}
            {% if result.node.resource_type in ('model', 'seed') %}{% do built.append(result.node.unique_id) %}{% endif %}
        {% endfor %}
        {% set expected = graph.nodes.values() | selectattr('resource_type', 'in', ('model', 'seed')) | map(attribute='unique_id') %}
        {% set complete = expected | reject('in', built) | list | length == 0 %}
        {% set text = failures | join('; ') | replace("'", "''") %}
        {% do run_query("update ops.build set finished_at = now(), is_complete = " ~ complete ~ ", succeeded = " ~ (failures | length == 0) ~ ", failures = nullif('" ~ text ~ "', '') where build_id = '" ~ invocation_id ~ "'") %}
    {% endif %}
{% endmacro %}
