{# Models that keep what earlier nights made. Such a model is made of parts (a local date each); a part is made again when
   the fingerprint of all that it is made from differs from the one that it was made under. The fingerprints are a model
   of their own: one row per part, in two columns, the part and "fingerprint".
   Forgetting, making and noting are one transaction of dbt's incremental materialization: a run that is killed leaves no
   part half made, and the next one makes the rest. #}

{# What the configuration of such a model says: {{ config(**kept_by('measured_date', 'int_dose_day')) }} #}
{% macro kept_by(part, fingerprints) %}
    {% do return({
        'materialized': 'incremental',
        'incremental_strategy': 'append',
        'on_schema_change': 'fail',
        'pre_hook': "{{ forget_parts('" ~ part ~ "', ref('" ~ fingerprints ~ "')) }}",
        'post_hook': "{{ note_parts('" ~ part ~ "', ref('" ~ fingerprints ~ "')) }}",
    }) %}
{% endmacro %}

{# Whether this build adds to what earlier ones made. dbt's unit tests run a model on rows of their own, all of them; the
   linter knows no model. #}
{% macro is_continued() %}
    {% do return(model is defined and model.resource_type == 'model' and is_incremental()) %}
{% endmacro %}

{# A condition: rows of the parts that this build makes. Always true where the whole table is made. #}
{% macro is_made_now(column, part, fingerprints) -%}
    {%- if is_continued() -%}
        {{ column }} in ({{ parts_to_make(part, ref(fingerprints)) }})
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}

{# A condition: rows that the parts of this build are made from, where these reach over the parts that "reach" lists. #}
{% macro is_read_now(column, part, fingerprints, reach) -%}
    {%- if is_continued() -%}
        {{ column }} in (
            select unnest({{ reach }}) from {{ ref(fingerprints) }}
            where {{ part }} in ({{ parts_to_make(part, ref(fingerprints)) }})
        )
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}

{# The parts whose fingerprint is new, changed or gone, as a query of one column. #}
{% macro parts_to_make(part, fingerprints) -%}
    select coalesce(wanted.{{ part }}, made.part)
    from {{ fingerprints }} as wanted
    full outer join (select part, fingerprint from ops.part where model = '{{ this.identifier }}') as made
        on wanted.{{ part }} = made.part
    where wanted.fingerprint is distinct from made.fingerprint
{%- endmacro %}

{% macro forget_parts(part, fingerprints) -%}
    {%- if is_continued() -%}
        delete from {{ this }} where {{ part }} in ({{ parts_to_make(part, fingerprints) }})
    {%- else -%}
        delete from ops.part where model = '{{ this.identifier }}'
    {%- endif -%}
{%- endmacro %}

{% macro note_parts(part, fingerprints) -%}
    create or replace temporary table part_made as {{ parts_to_make(part, fingerprints) }};
    delete from ops.part where model = '{{ this.identifier }}' and part in (from part_made);
    insert into ops.part
    select '{{ this.identifier }}', {{ part }}, fingerprint, '{{ invocation_id }}' from {{ fingerprints }} where {{ part }} in (from part_made)
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
