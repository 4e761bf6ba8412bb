-- What the dispositions of a day's doses are made from: the doses, the links of their samples, and the links of the others.
with dose_days as (
    select * from {{ ref('int_dose_day') }}
),

link_days as (
    select * from {{ ref('int_link_day') }}
),

residuals as (
    select
        made.measured_date,
        hash(made) as row_hash
    from {{ ref('int_hourly_residual') }} as made
),

span_links as (
    select
        made.measured_date,
        made.procedure_id,
        hash(made) as row_hash
    from {{ ref('int_span_link') }} as made
),

vendor_links as (
    select
        made.measured_date,
        made.procedure_id,
        hash(made) as row_hash
    from {{ ref('int_vendor_link') }} as made
),

clocks as (
    select distinct
        procedure_id,
        is_clock_known
    from {{ ref('int_procedure_clock') }}
),

others as (
    select
        residuals.measured_date,
        residuals.row_hash
    from residuals
    union all
    select
        span_links.measured_date,
        hash(span_links.row_hash, clocks.is_clock_known) as row_hash
    from span_links
    left join clocks on span_links.procedure_id = clocks.procedure_id
    union all
    select
        vendor_links.measured_date,
        hash(vendor_links.row_hash, clocks.is_clock_known) as row_hash
    from vendor_links
    left join clocks on vendor_links.procedure_id = clocks.procedure_id
),

other_days as (
    select
        measured_date,
        sum(row_hash) as fingerprint
    from others
    group by measured_date
),

final as (
    select
        dose_days.measured_date,
        dose_days.n_rows,
        cast(hash(dose_days.fingerprint, link_days.fingerprint, other_days.fingerprint) as hugeint) as fingerprint
    from dose_days
    left join link_days on dose_days.measured_date = link_days.measured_date
    left join other_days on dose_days.measured_date = other_days.measured_date
)

select * from final
