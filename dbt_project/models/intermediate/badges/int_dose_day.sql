-- What a day's doses, their wearers and the evidence for them are made from: records of the day, doses that other rows decide,
-- and the reference rows in force. Declarations and corrections reach a day further: records lie across midnight.
with record_days as (
    select * from {{ ref('int_record_day') }}
),

derived_doses as (
    select * from {{ ref('int_derived_dose') }}
),

unclear_badges as (
    select * from {{ ref('int_unclear_badge') }}
),

unclear_doses as (
    select * from {{ ref('int_unclear_dose') }}
),

hubs as (
    select * from {{ ref('stg_source_hub') }}
),

site as (
    select * from {{ ref('stg_site') }}
),

corrections as (
    select
        stated.from_at,
        stated.to_at,
        hash(stated) as row_hash
    from {{ ref('stg_correction') }} as stated
),

manual_links as (
    select
        placed.from_at,
        placed.to_at,
        hash(placed) as row_hash
    from {{ ref('int_manual_link') }} as placed
    where placed.procedure_id is not null
),

in_force as (
    select
        assignments.valid_from_date as from_date,
        assignments.valid_to_date as to_date,
        hash(assignments) as row_hash
    from {{ ref('stg_badge_assignment') }} as assignments
    union all
    select
        badge_overlaps.from_date,
        badge_overlaps.to_date,
        hash(badge_overlaps) as row_hash
    from {{ ref('stg_badge_overlap') }} as badge_overlaps
    union all
    select
        declarations.valid_from_date as from_date,
        declarations.valid_to_date as to_date,
        hash(declarations) as row_hash
    from {{ ref('stg_clock_declaration') }} as declarations
    where declarations.source_id is not null
    union all
    select
        unclear_badges.measured_date as from_date,
        unclear_badges.measured_date as to_date,
        hash(unclear_badges.dosimeter_serial, unclear_badges.source_id) as row_hash
    from unclear_badges
    union all
    select
        unclear_doses.measured_date as from_date,
        unclear_doses.measured_date as to_date,
        hash(unclear_doses.dose_key) as row_hash
    from unclear_doses
    union all
    select
        {{ local_date('corrections.from_at', 'site.site_timezone') }} - 1 as from_date,
        {{ local_date('corrections.to_at', 'site.site_timezone') }} + 1 as to_date,
        corrections.row_hash
    from corrections
    cross join site
    union all
    select
        {{ local_date('manual_links.from_at', 'site.site_timezone') }} - 1 as from_date,
        {{ local_date('manual_links.to_at', 'site.site_timezone') }} + 1 as to_date,
        manual_links.row_hash
    from manual_links
    cross join site
),

derived_days as (
    select
        measured_date,
        {{ fingerprint_of('derived_doses') }} as fingerprint
    from derived_doses
    group by measured_date
),

days as (
    select
        coalesce(record_days.record_date, derived_days.measured_date) as measured_date,
        coalesce(record_days.n_rows, 0) as n_rows,
        coalesce(record_days.fingerprint, 0) as record_fingerprint,
        coalesce(derived_days.fingerprint, 0) as derived_fingerprint
    from record_days
    full outer join derived_days on record_days.record_date = derived_days.measured_date
),

reference_days as (
    select
        days.measured_date,
        sum(in_force.row_hash) as fingerprint
    from days
    inner join in_force
        on
            {{ is_valid_on('in_force', 'days.measured_date', prefix='') }}
    group by days.measured_date
),

site_wide as (
    select {{ fingerprint_of('hubs') }} as fingerprint
    from hubs
),

final as (
    select
        days.measured_date,
        days.n_rows,
        cast(
            hash(
                days.record_fingerprint,
                days.derived_fingerprint,
                reference_days.fingerprint,
                site_wide.fingerprint
            ) as hugeint
        ) as fingerprint
    from days
    cross join site_wide
    left join reference_days on days.measured_date = reference_days.measured_date
    where days.measured_date <= {{ as_of() }}
)

select * from final
