-- The pregnancies declared on or before as_of, with their end: stated, else so many days after the begin, if not known after the
-- declaration.
with operators as (
    select * from {{ ref('stg_operator') }}
),

final as (
    select
        operator_id,
        pregnancy_declared_date,
        -- A begin after the declaration is a typing error: no dose since the declaration may be excluded.
        least(pregnancy_began_date, pregnancy_declared_date) as pregnancy_began_date,
        coalesce(
            pregnancy_ended_date,
            least(pregnancy_began_date, pregnancy_declared_date) + {{ var('pregnancy_days') }}
        ) as pregnancy_end_date
    from operators
    where pregnancy_declared_date <= {{ as_of() }}
)

select * from final
