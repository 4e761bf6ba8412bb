-- Each reading of a file with what it is now: "loaded" is in force, and nothing else makes a record, a report or a dose.
-- One place for all that takes a loaded file back.
with files as (
    select * from {{ ref('stg_file') }}
),

final as (
    select
        load_seq,
        order_seq,
        kind,
        source_id,
        sha256,
        duplicate_of,
        -- When these bytes first came, however often they were read since.
        min(first_seen_at) over (partition by order_seq) as first_seen_at,
        case when superseded_by is not null then 'superseded' else status end as reading_state
    from files
)

select * from final
