{{ config(meta={'dagster': {'ref': {'name': 'int_procedure'}}}) }}

{#- What no row of a table may be, and what names the row: nothing where only a person's or a room's name would. Of published
    tables constraints say it. One test for all, as of the keys. -#}
{%- set gaps = [
    ('stg_site', 'site_id', "site_timezone is null"),
    ('stg_room', 'null', "room_id is null"),
    ('stg_operator', 'null', "operator_id is null"),
    ('int_alert_threshold', "rule || '.' || name", "threshold_value is null"),
    ('int_report_room', 'load_seq', "room_id is null"),
    ('int_report', 'load_seq', "room_id is null"),
    ('int_procedure', 'procedure_id', "procedure_date is null"),
    ('int_study_dose', 'study_instance_uid', "study_key is null"),
    ('int_study_effective_dose', 'null', "study_key is null"),
    (
        'int_study_effective_dose',
        'study_key',
        "estimate_gap not in ('modality', 'no_dose', 'age_unknown', 'region_unknown', 'no_coefficient')"
    ),
] -%}

-- A row lacks a value that decides over other rows, or has a word outside its list.
with final as (
    {% for table, key, gap in gaps %}
        select
            '{{ table }}' as table_name,
            '{{ gap | replace("'", "''") }}' as gap_columns,
            cast({{ key }} as varchar) as row_key
        from {{ ref(table) }}
        where {{ gap }}
        {{ "union all" if not loop.last }}
    {% endfor %}
)

select * from final
