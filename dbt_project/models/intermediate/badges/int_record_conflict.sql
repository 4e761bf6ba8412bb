-- Rows beside which another row of their own file states a higher value of the same measurement.
{{ config(**kept_by('record_date', 'int_record_day')) }}
with versions as (
    select * from {{ ref('int_record_version') }}
    where row_disposition = 'conflicting' and {{ is_made_now('record_date') }}
),

final as (
    select
        record_date,
        load_seq,
        line,
        quantity,
        dosimeter_serial,
        measured_date,
        value_usv
    from versions
)

select * from final
