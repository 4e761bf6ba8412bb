with rejected_rows as (
    select * from {{ ref('stg_rejected_row') }}
),

files as (
    select * from {{ ref('stg_file') }}
),

final as (
    select
        files.path,
        rejected_rows.line,
        rejected_rows.reason,
        rejected_rows.raw
    from rejected_rows
    inner join files on rejected_rows.load_seq = files.load_seq
)

select * from final
