-- Rows of withdrawn_files.csv that match no file: a typing error in a hash would leave a wrong file in force.
with withdrawals as (
    select * from {{ ref('stg_withdrawn_file') }}
),

files as (
    select * from {{ ref('stg_file') }}
),

final as (
    select
        'unknown_file' as code,
        cast(null as bigint) as load_seq,
        'reference/withdrawn_files.csv' as path,
        withdrawals.line,
        'sha256' as field,
        format('No file has the SHA-256 {}: nothing was withdrawn by this row.', withdrawals.sha256) as message
    from withdrawals
    left join files on withdrawals.sha256 = files.sha256
    where files.load_seq is null
)

select * from final
