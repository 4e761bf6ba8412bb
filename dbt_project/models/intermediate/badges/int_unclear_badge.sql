-- Days on which records of two sources state one serial and no row decides whether that is one badge (contract 2, Badges): no
-- assignment names one of the sources, and they are neither rate samples and hourly totals, which readers write of the same
-- badge, nor rate samples that both name hubs, which a badge meets on its way through the rooms.
with badge_days as (
    select * from {{ ref('int_badge_day') }}
),

untimed as (
    select * from {{ ref('int_derived_dose') }}
    where started_at is null
),

sources as (
    select * from {{ ref('stg_source') }}
),

assignments as (
    select * from {{ ref('stg_badge_assignment') }}
    where source_ids is not null
),

spans as (
    select
        source_id,
        layout,
        dosimeter_serial,
        from_date,
        to_date
    from badge_days
    where from_date is not null
    union
    select
        source_id,
        layout,
        dosimeter_serial,
        measured_date as from_date,
        measured_date as to_date
    from untimed
),

shared_serials as (
    select dosimeter_serial
    from spans
    group by dosimeter_serial
    having count(distinct source_id) > 1
),

days as (
    select distinct
        spans.source_id,
        spans.layout,
        spans.dosimeter_serial,
        coalesce(sources.has_hubs, false) as has_hubs,
        cast(unnest(range(spans.from_date, spans.to_date + 1, interval 1 day)) as date) as measured_date
    from spans
    left join sources on spans.source_id = sources.source_id
    where spans.dosimeter_serial in (select shared_serials.dosimeter_serial from shared_serials)
),

pairs as (
    select
        days.dosimeter_serial,
        days.measured_date,
        days.source_id,
        other_days.source_id as other_source_id
    from days
    inner join days as other_days
        on
            days.dosimeter_serial = other_days.dosimeter_serial
            and days.measured_date = other_days.measured_date
            and days.source_id != other_days.source_id
    where
        list_sort([days.layout, other_days.layout]) != ['hourly_totals', 'rate_samples']
        and not (
            days.layout = 'rate_samples'
            and other_days.layout = 'rate_samples'
            and days.has_hubs
            and other_days.has_hubs
        )
),

final as (
    select
        pairs.dosimeter_serial,
        pairs.measured_date,
        pairs.source_id,
        string_agg(distinct pairs.other_source_id, ' ' order by pairs.other_source_id) as other_source_ids
    from pairs
    where
        pairs.measured_date <= {{ as_of() }}
        and not exists (
            select 1 from assignments
            where
                assignments.dosimeter_serial = pairs.dosimeter_serial
                and {{ is_valid_on('assignments', 'pairs.measured_date') }}
                and list_has_any(assignments.source_ids, [pairs.source_id, pairs.other_source_id])
        )
    group by pairs.dosimeter_serial, pairs.measured_date, pairs.source_id
)

select * from final
