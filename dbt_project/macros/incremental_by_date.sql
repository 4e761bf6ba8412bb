{# Models that are incremental by date: a table is divided into local dates, and a date is rebuilt when the fingerprint of its inputs
   differs from the fingerprint that it was built from (ops.date_partition). The fingerprints are a model of their own: one row per
   date, with "fingerprint" and "n_rows", about how many input rows the date has.
   Stale dates are built in batches of some million rows, so that a history of any length needs the same memory.
   A batch is one transaction: its rows are deleted, inserted, and its fingerprints recorded
   (materializations/incremental_by_date.sql). A run that is killed leaves no date half built; the next run builds the rest. #}

{# The configuration of such a model: {{ config(**incremental_by_date('measured_date', 'int_dose_day')) }} #}
{% macro incremental_by_date(date_column, fingerprints) %}
    {% do return({
        'materialized': 'incremental_by_date',
        'meta': {'date_column': date_column, 'fingerprints': fingerprints},
        'pre_hook': "{{ delete_batch('" ~ date_column ~ "') }}",
        'post_hook': "{{ record_batch('" ~ date_column ~ "', ref('" ~ fingerprints ~ "')) }}",
    }) %}
{% endmacro %}

{# Whether the model is built in batches. A unit test of dbt gives a model all its rows; the linter renders macros without a model. #}
{% macro is_batched() %}
    {% do return(model is defined and model.resource_type == 'model') %}
{% endmacro %}

{# A condition: rows of the dates in this batch. #}
{% macro is_in_batch(column) -%}
    {%- if is_batched() -%}
        {{ column }} in (from batch_date)
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}

{# A condition: input rows of the dates in this batch, where a date reads the other keys that its column "reach" lists. #}
{% macro is_input_of_batch(column, date_column, fingerprints, reach) -%}
    {%- if is_batched() -%}
        {{ column }} in (select unnest({{ reach }}) from {{ ref(fingerprints) }} where {{ date_column }} in (from batch_date))
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}

{# The dates whose fingerprint is new, changed or no longer there, as a query of one column. #}
{% macro stale_dates(date_column, fingerprints) -%}
    select coalesce(current_state.{{ date_column }}, built.partition_date) as partition_date
    from {{ fingerprints }} as current_state
    full outer join
        (select partition_date, fingerprint from ops.date_partition where model = '{{ this.identifier }}') as built
        on current_state.{{ date_column }} = built.partition_date
    where current_state.fingerprint is distinct from built.fingerprint
{%- endmacro %}

{# Divides the stale dates into batches, and returns the numbers of these. #}
{% macro batches_of_stale_dates(date_column, fingerprints) %}
    {% do run_query(
        "create or replace temporary table stale_date as"
        ~ " select stale.partition_date, coalesce(sum(current_state.n_rows) over earlier, 0) // " ~ var('batch_rows') ~ " as batch"
        ~ " from (" ~ stale_dates(date_column, fingerprints) ~ ") as stale"
        ~ " left join " ~ fingerprints ~ " as current_state on stale.partition_date = current_state." ~ date_column
        ~ " window earlier as (order by stale.partition_date rows between unbounded preceding and 1 preceding)"
    ) %}
    {% do return(run_query("select distinct batch from stale_date order by batch").columns[0].values()) %}
{% endmacro %}

{% macro start_batch(batch) %}
    {% do run_query(
        "truncate batch_date; insert into batch_date select partition_date from stale_date where batch = " ~ batch
    ) %}
{% endmacro %}

{% macro delete_batch(date_column) -%}
    delete from {{ this }} where {{ date_column }} in (from batch_date)
{%- endmacro %}

{% macro record_batch(date_column, fingerprints) -%}
    delete from ops.date_partition where model = '{{ this.identifier }}' and partition_date in (from batch_date);
    insert into ops.date_partition
    select '{{ this.identifier }}', {{ date_column }}, fingerprint, '{{ invocation_id }}' from {{ fingerprints }} where {{ date_column }} in (from batch_date)
{%- endmacro %}

{# The same for a model that is built in one statement. #}
{% macro record_stale_dates(date_column, fingerprints) -%}
    create or replace temporary table batch_date as {{ stale_dates(date_column, fingerprints) }};
    {{ record_batch(date_column, fingerprints) }}
{%- endmacro %}

{# A condition: rows of the dates that were built by this build or by a failed one. #}
{% macro is_untested(model, date_column) -%}
    {{ date_column }} in (
        select built.partition_date from ops.date_partition as built
        where
            built.model = '{{ model }}'
            and built.build_id not in (select tested.build_id from ops.build as tested where tested.succeeded)
    )
{%- endmacro %}

{# Hash of all columns of all rows, independent of the order of rows. #}
{% macro fingerprint_of(relation) -%}
    cast(coalesce(sum(hash({{ relation }})), 0) as hugeint)
{%- endmacro %}

{# A condition on the rows of a fingerprint model: this build rebuilds that date of an incremental model of the same schema. Without a
   table of that model every date is stale. #}
{% macro is_stale(fingerprints, date_column, incremental_model) -%}
    {%- set is_built = model is defined and model.resource_type == 'model' and not should_full_refresh()
        and load_cached_relation(this.incorporate(path={'identifier': incremental_model})) is not none -%}
    {%- if not is_built -%}
        true
    {%- else -%}
        not exists (
            select 1 from ops.date_partition as built
            where
                built.model = '{{ incremental_model }}'
                and built.partition_date = {{ fingerprints }}.{{ date_column }}
                and built.fingerprint = {{ fingerprints }}.fingerprint
        )
    {%- endif -%}
{%- endmacro %}
