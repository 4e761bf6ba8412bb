-- Sessions and counter steps of people's badges from sources without hubs: their reader's own clock is estimated from them.
with spans as (
    select * from {{ ref('int_span') }}
    where follows_reader and quantity = 'hp10' and operator_id is not null and ended_at > started_at
),

final as (
    select
        dose_key,
        source_id,
        operator_id,
        measured_date,
        epoch(started_at) as started_s,
        epoch(ended_at) as ended_s,
        open_usv > 0 as has_dose
    from spans
)

select * from final
