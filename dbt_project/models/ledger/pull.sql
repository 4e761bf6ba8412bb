with pulls as (
    select * from {{ ref('stg_pull') }}
),

final as (
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
    from pulls
)

select * from final
