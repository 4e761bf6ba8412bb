with dispositions as (
    select * from {{ ref('int_disposition') }}
    where disposition = 'unlinked' and quantity = 'hp10'
),

final as (
    select
        source_id,
        dosimeter_serial,
        operator_id,
        started_at,
        ended_at,
        dose_usv as hp10_usv,
        reason,
        candidates
    from dispositions
)

select * from final
