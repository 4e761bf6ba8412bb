with source as (
    select * from {{ source('raw', 'file') }}
),

renamed as (
    select
        load_seq,
        order_seq,
        superseded_by,
        shown_path as path,
        sha256,
        size_bytes,
        kind,
        source_id,
        first_seen_at,
        status,
        reason,
        rows_loaded,
        rows_rejected,
        duplicate_of
    from source
)

select * from renamed
