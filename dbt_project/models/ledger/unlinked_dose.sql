{{ config(**incremental_by_date('measured_date', 'int_disposition_day')) }}
with dispositions as (
    select * from {{ ref('int_disposition') }}
    where
        disposition = 'unlinked'
        and quantity = 'hp10'
        and {{ is_in_batch('measured_date') }}
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
        candidates,
        measured_date
    from dispositions
)

select * from final
