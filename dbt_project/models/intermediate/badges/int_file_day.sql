-- What each file states of which days. A file's records never change: it is read once. In another time zone the same
-- instants fall on other days: what was noted for the former one is forgotten.
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook="{% if is_incremental() %}
        delete from {{ this }} where site_timezone not in (select site_timezone from {{ ref('stg_site') }})
    {% endif %}"
) }}
with records as (
    select * from {{ ref('stg_dose_record') }}
),

site as (
    select * from {{ ref('stg_site') }}
),

-- By the minute, within which no date ends: the calendar is slow, and some sixty samples share its answer.
unseen_minutes as (
    select
        load_seq,
        source_id,
        quantity,
        {{ dating_minute('started_at', 'layout') }} as began_at,
        count(*) as n_records,
        sum(value_usv) as value_usv
    from records
    {% if is_incremental() %}
        where load_seq not in (select seen.load_seq from {{ this }} as seen)
    {% endif %}
    group by all
),

final as (
    select
        unseen_minutes.load_seq,
        unseen_minutes.source_id,
        unseen_minutes.quantity,
        site.site_timezone,
        {{ record_date('unseen_minutes.began_at', 'site.site_timezone') }} as record_date,
        cast(sum(unseen_minutes.n_records) as bigint) as n_records,
        coalesce(sum(unseen_minutes.value_usv), 0) as value_usv
    from unseen_minutes
    cross join site
    group by all
)

select * from final
