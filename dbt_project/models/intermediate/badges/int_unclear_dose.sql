-- Doses that other rows decide and that reach over a day on which their badge is unclear: steps of counters and badge periods
-- are of several days.
with doses as (
    select * from {{ ref('int_derived_dose') }}
),

unclear_badges as (
    select * from {{ ref('int_unclear_badge') }}
),

site as (
    select * from {{ ref('stg_site') }}
),

spans as (
    select
        doses.load_seq,
        doses.line,
        doses.quantity,
        doses.measured_date,
        doses.source_id,
        doses.dosimeter_serial,
        coalesce(
            doses.period_begin_date, {{ local_date('doses.started_at', 'site.site_timezone') }}, doses.measured_date
        ) as from_date,
        coalesce(
            doses.period_end_date, {{ local_date('doses.ended_at', 'site.site_timezone') }}, doses.measured_date
        ) as to_date
    from doses
    cross join site
),

final as (
    select distinct
        {{ dose_key('spans.load_seq', 'spans.line', 'spans.quantity') }} as dose_key,
        spans.measured_date
    from spans
    inner join unclear_badges
        on
            spans.dosimeter_serial = unclear_badges.dosimeter_serial
            and spans.source_id = unclear_badges.source_id
            and spans.from_date <= unclear_badges.measured_date
            and spans.to_date >= unclear_badges.measured_date
)

select * from final
