-- The report objects of studies up to as_of. One that states no date is known.
with reports as (
    select * from {{ ref('int_dated_report') }}
),

final as (
    select * from reports
    where report_date is null or report_date <= {{ as_of() }}
)

select * from final
