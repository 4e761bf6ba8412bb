-- Which file has records of which days. A file's records never change: it is looked at once. In another time zone the same
-- instants fall on other days: what was noted for the former one is forgotten.
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook="{% if is_continued() %}
        delete from {{ this }} where site_timezone not in (select site_timezone from {{ ref('stg_site') }})
    {% endif %}"
) }}
with records as (
    select * from {{ ref('stg_dose_record') }}
),

site as (
    select * from {{ ref('stg_site') }}
),

unseen as (
    select
        records.*,
        site.site_timezone
    from records
    cross join site
    {% if is_continued() %}
        where records.load_seq not in (select seen.load_seq from {{ this }} as seen)
    {% endif %}
),

final as (
    select
        load_seq,
        source_id,
        site_timezone,
        {{ record_date() }} as record_date,
        count(*) as n_records
    from unseen
    group by all
)

select * from final
