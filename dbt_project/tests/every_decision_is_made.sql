{{ config(meta={'dagster': {'ref': {'name': 'int_procedure'}}}) }}

{#- What no row of a table may be; of published tables constraints say it. One test for all, as of the keys. -#}
{%- set gaps = [
    ('stg_site', "site_timezone is null"),
    ('stg_room', "room_id is null"),
    ('stg_operator', "operator_id is null"),
    ('int_alert_threshold', "threshold_value is null"),
    ('int_report_room', "room_id is null"),
    ('int_report', "room_id is null"),
    ('int_procedure', "procedure_date is null"),
    ('int_study_dose', "study_key is null"),
    ('int_study_effective_dose', "study_key is null"),
    (
        'int_study_effective_dose',
        "estimate_gap not in ('modality', 'no_dose', 'age_unknown', 'region_unknown', 'no_coefficient')"
    ),
] -%}

-- A row is a table of which rows lack what decides over others, or have a word that nobody knows.
with final as (
    {% for table, gap in gaps %}
        select
            '{{ table }}' as table_name,
            '{{ gap | replace("'", "''") }}' as gap_columns,
            count(*) as n_rows
        from {{ ref(table) }}
        where {{ gap }}
        having count(*) > 0
        {{ "union all" if not loop.last }}
    {% endfor %}
)

select * from final
