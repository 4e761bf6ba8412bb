with source as (
    select * from {{ source('raw', 'pull') }}
),

renamed as (
    select
        run_id,
        server,
        period_begin,
        period_end,
        studies,
        series,
        found,
        stored,
        known,
        failed,
        unanswered
    from source
)

select * from renamed
