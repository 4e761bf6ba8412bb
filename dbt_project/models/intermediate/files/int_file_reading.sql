-- Each reading of a file with what it is now: only "loaded" is in force and gives records, reports and doses.
-- One place for all that takes a loaded file back.
with files as (
    select * from {{ ref('stg_file') }}
),

withdrawn as (
    select * from {{ ref('int_withdrawn_reading') }}
),

final as (
    select
        files.load_seq,
        files.order_seq,
        files.kind,
        files.source_id,
        files.sha256,
        files.duplicate_of,
        -- When these bytes first came, however often they were read since.
        min(files.first_seen_at) over (partition by files.order_seq) as first_seen_at,
        case
            when withdrawn.load_seq is not null then 'withdrawn'
            when files.superseded_by is not null then 'superseded'
            else files.status
        end as reading_state,
        withdrawn.withdrawal_reason
    from files
    left join withdrawn on files.load_seq = withdrawn.load_seq
)

select * from final
