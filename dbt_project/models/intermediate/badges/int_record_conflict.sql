-- Rows beside which another row of their own file states a higher value of the same measurement, with that value.
{{ config(**incremental_by_date('record_date', 'int_record_day')) }}
with versions as (
    select * from {{ ref('int_record_version') }}
    where {{ is_in_batch('record_date') }}
),

lower_rows as (
    select * from versions
    where row_disposition = 'conflicting'
),

highest as (
    select
        versions.load_seq,
        versions.measurement_key,
        max(versions.value_usv) as highest_usv
    from versions
    semi join lower_rows
        on versions.load_seq = lower_rows.load_seq and versions.measurement_key = lower_rows.measurement_key
    group by versions.load_seq, versions.measurement_key
),

final as (
    select
        lower_rows.record_date,
        lower_rows.load_seq,
        lower_rows.line,
        lower_rows.quantity,
        lower_rows.dosimeter_serial,
        lower_rows.measured_date,
        lower_rows.value_usv,
        highest.highest_usv
    from lower_rows
    inner join highest
        on
            lower_rows.load_seq = highest.load_seq
            and lower_rows.measurement_key = highest.measurement_key
)

select * from final
