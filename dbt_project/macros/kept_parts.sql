{# Models that keep what earlier nights made. Such a model is made of parts (a local date each); a part is made again when
   the fingerprint of all that it is made from differs from the one that it was made under. The fingerprints are a model
   of their own: one row per part, with "fingerprint" and "n_rows", about how many rows the part is made from.
   Parts are made in blocks of some million rows, so that a history of any length is made in the same memory.
   Forgetting, making and noting a block is one transaction (materializations/incremental_by_date.sql): a run that is killed leaves
   no part half made, and the next one makes the rest. #}

{# What the configuration of such a model says: {{ config(**kept_by('measured_date', 'int_dose_day')) }} #}
{% macro kept_by(part, fingerprints) %}
    {% do return({
        'materialized': 'incremental_by_date',
        'meta': {'part': part, 'fingerprints': fingerprints},
        'pre_hook': "{{ forget_parts('" ~ part ~ "') }}",
        'post_hook': "{{ note_parts('" ~ part ~ "', ref('" ~ fingerprints ~ "')) }}",
    }) %}
{% endmacro %}

{# Whether rows come by the block: dbt's unit tests run a model on rows of their own, all of them; the linter knows no model. #}
{% macro is_by_block() %}
    {% do return(model is defined and model.resource_type == 'model') %}
{% endmacro %}

{# A condition: rows of the parts that are made now. #}
{% macro is_made_now(column) -%}
    {%- if is_by_block() -%}
        {{ column }} in (from part_now)
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}

{# A condition: rows that these are made from, where they reach over the parts that "reach" lists. #}
{% macro is_read_now(column, part, fingerprints, reach) -%}
    {%- if is_by_block() -%}
        {{ column }} in (select unnest({{ reach }}) from {{ ref(fingerprints) }} where {{ part }} in (from part_now))
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}

{# The parts whose fingerprint is new, changed or gone, as a query of one column. #}
{% macro due_parts(part, fingerprints) -%}
    select coalesce(wanted.{{ part }}, made.part) as part
    from {{ fingerprints }} as wanted
    full outer join (select part, fingerprint from ops.part where model = '{{ this.identifier }}') as made
        on wanted.{{ part }} = made.part
    where wanted.fingerprint is distinct from made.fingerprint
{%- endmacro %}

{# Divides them into blocks, and returns these. #}
{% macro blocks_of_due_parts(part, fingerprints) %}
    {% do run_query(
        "create or replace temporary table part_due as"
        ~ " select due.part, coalesce(sum(wanted.n_rows) over earlier, 0) // " ~ var('block_rows') ~ " as block"
        ~ " from (" ~ due_parts(part, fingerprints) ~ ") as due"
        ~ " left join " ~ fingerprints ~ " as wanted on due.part = wanted." ~ part
        ~ " window earlier as (order by due.part rows between unbounded preceding and 1 preceding)"
    ) %}
    {% do return(run_query("select distinct block from part_due order by block").columns[0].values()) %}
{% endmacro %}

{% macro choose_parts(block) %}
    {% do run_query("truncate part_now; insert into part_now select part from part_due where block = " ~ block) %}
{% endmacro %}

{% macro forget_parts(part) -%}
    delete from {{ this }} where {{ part }} in (from part_now)
{%- endmacro %}

{% macro note_parts(part, fingerprints) -%}
    delete from ops.part where model = '{{ this.identifier }}' and part in (from part_now);
    insert into ops.part
    select '{{ this.identifier }}', {{ part }}, fingerprint, '{{ invocation_id }}' from {{ fingerprints }} where {{ part }} in (from part_now)
{%- endmacro %}

{# The same for a model that is made in one piece. #}
{% macro note_due_parts(part, fingerprints) -%}
    create or replace temporary table part_now as {{ due_parts(part, fingerprints) }};
    {{ note_parts(part, fingerprints) }}
{%- endmacro %}

{# A condition: rows of the parts that were made by this build or by one that failed. #}
{% macro is_untested(model, part) -%}
    {{ part }} in (
        select made.part from ops.part as made
        where
            made.model = '{{ model }}'
            and made.build_id not in (select tested.build_id from ops.build as tested where tested.succeeded)
    )
{%- endmacro %}

{# Of everything that a row says, independent of the order of rows. #}
{% macro fingerprint_of(relation) -%}
    cast(coalesce(sum(hash({{ relation }})), 0) as hugeint)
{%- endmacro %}

{# Whether a part of another model of this schema, the keeper, is to be made in this build: each where it keeps nothing yet. #}
{% macro is_due(fingerprints, part, keeper) -%}
    {%- set is_kept = model is defined and model.resource_type == 'model' and not should_full_refresh()
        and load_cached_relation(this.incorporate(path={'identifier': keeper})) is not none -%}
    {%- if not is_kept -%}
        true
    {%- else -%}
        not exists (
            select 1 from ops.part as made
            where
                made.model = '{{ keeper }}'
                and made.part = {{ fingerprints }}.{{ part }}
                and made.fingerprint = {{ fingerprints }}.fingerprint
        )
    {%- endif -%}
{%- endmacro %}
