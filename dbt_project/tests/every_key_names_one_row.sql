{{ config(meta={'dagster': {'ref': {'name': 'dose_balance'}}}) }}

{#- Each model with a key in its yml. The graph that names them gives no order: the test runs after the last models of the
    project, and so after all of them. -#}
{%- set last_models = [
    ref('bridge_procedure_report'), ref('clock_offset'), ref('counter_balance'), ref('dim_advice'),
    ref('dim_comparison_threshold'), ref('dim_date'), ref('dim_device'), ref('dim_kap_calibration'),
    ref('dim_procedure_class'), ref('dim_room'), ref('dose_balance'), ref('dose_statistics'), ref('expected_study'),
    ref('fct_class_quarter'), ref('fct_dose_link'), ref('fct_irradiation_event'), ref('fct_operator_event'),
    ref('fct_operator_limit'), ref('fct_operator_protection'), ref('fct_patient_exposure'), ref('fct_room_month'),
    ref('fct_rule_outcome'), ref('fct_skin_dose'), ref('fct_staff_dose'), ref('fct_study_dose'),
    ref('file_balance'), ref('linkage'), ref('oddity'), ref('pull'), ref('reader_clock'), ref('report_balance'), ref('unlinked_dose'),
    ref('unmatched_device'), ref('unreadable_dose'),
] -%}

-- A row is a key that names several rows: a join that fanned out, and dose or a procedure counted twice. Of a table that is
-- incremental by date only the days are read that no successful build has made, and so no test has seen.
with final as (
    select
        cast(null as varchar) as table_name,
        cast(null as varchar) as key_columns,
        cast(null as bigint) as n_rows
    where false
    {% for model in keyed_models() %}
        union all
        select
            '{{ model.name }}' as table_name,
            '{{ model.config.meta.key | join(", ") }}' as key_columns,
            count(*) as n_rows
        from {{ model.relation_name }}
        {% if model.config.meta.date_column -%}
            where {{ is_untested(model.name, model.config.meta.date_column) }}
        {%- endif %}
        group by "{{ model.config.meta.key | join('", "') }}"
        having count(*) > 1
    {% endfor %}
)

select * from final
