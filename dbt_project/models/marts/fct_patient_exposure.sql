-- Empty in this version, and said so in its description: the columns stand, the logic comes with a later release.
with nothing as (
    select
        cast(null as varchar) as patient_key,
        cast(null as varchar) as "window",
        cast(null as bigint) as studies,
        cast(null as bigint) as studies_without_estimate,
        cast(null as double) as effective_dose_estimate_msv,
        cast(null as double) as peak_msv,
        cast(null as boolean) as is_100_msv_or_more
    where false
)

select * from nothing
