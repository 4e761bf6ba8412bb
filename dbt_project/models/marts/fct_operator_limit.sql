-- Empty in this version, and said so in its description: the columns stand, the logic comes with a later release.
with nothing as (
    select
        cast(null as varchar) as operator_id,
        cast(null as varchar) as quantity,
        cast(null as varchar) as "window",
        cast(null as varchar) as limit_rule,
        cast(null as date) as window_begin,
        cast(null as date) as window_end,
        cast(null as double) as dose_msv,
        cast(null as double) as limit_msv,
        cast(null as double) as fraction_of_limit,
        cast(null as double) as projected_fraction,
        cast(null as varchar) as dose_source,
        cast(null as varchar) as limit_citation
    where false
)

select * from nothing
