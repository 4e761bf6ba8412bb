-- Readings of files that reference/withdrawn_files.csv withdraws: nothing that they state counts; all remains on record.
with withdrawals as (
    select * from {{ ref('stg_withdrawn_file') }}
),

files as (
    select * from {{ ref('stg_file') }}
),

final as (
    select
        files.load_seq,
        format('withdrawn on {}: {}', withdrawals.withdrawn_on, withdrawals.reason) as withdrawal_reason
    from files
    inner join withdrawals on files.sha256 = withdrawals.sha256
)

select * from final
