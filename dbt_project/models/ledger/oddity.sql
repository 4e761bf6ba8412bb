-- Everything odd about an input that was used all the same: found by the readers, or where rows are compared.
with findings as (
    select * from {{ ref('stg_finding') }}
),

files as (
    select * from {{ ref('stg_file') }}
),

compared as (
    select * from {{ ref('int_counter_oddity') }}
    union all by name
    select * from {{ ref('int_report_oddity') }}
    union all by name
    select * from {{ ref('int_record_oddity') }}
),

unclear_badges as (
    select * from {{ ref('int_unclear_badge_oddity') }}
),

together as (
    select * from findings
    union all by name
    select * from unclear_badges
    union all by name
    select
        compared.*,
        files.path
    from compared
    inner join files on compared.load_seq = files.load_seq
    union all by name
    select * from {{ ref('int_withdrawal_oddity') }}
    union all by name
    select * from {{ ref('int_same_bytes_oddity') }}
    union all by name
    select * from {{ ref('int_followup_oddity') }}
),

final as (
    select
        code,
        load_seq,
        path,
        line,
        field,
        message
    from together
)

select * from final
