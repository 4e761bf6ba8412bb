-- Empty in this version, and said so in its description: the columns stand, the logic comes with a later release.
with nothing as (
    select
        cast(null as varchar) as room_id,
        cast(null as varchar) as procedure_type,
        cast(null as varchar) as quantity,
        cast(null as bigint) as n,
        cast(null as double) as median,
        cast(null as double) as q1,
        cast(null as double) as q3,
        cast(null as double) as drl_value,
        cast(null as double) as ratio_to_drl,
        cast(null as varchar) as status
    where false
)

select * from nothing
