-- What became of the rows of each file, by the day: a small table that is summed instead of the records.
{{ config(**incremental_by_date('record_date', 'int_record_day')) }}
with versions as (
    select * from {{ ref('int_record_version') }}
    where {{ is_in_batch('record_date') }}
),

final as (
    select
        record_date,
        load_seq,
        quantity,
        is_counter,
        measured_date,
        row_disposition,
        count(*) as n_rows,
        count(*) filter (where is_news) as n_news,
        coalesce(sum(value_usv), 0) as value_usv
    from versions
    group by all
)

select * from final
