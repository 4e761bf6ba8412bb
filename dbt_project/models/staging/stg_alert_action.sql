with source as (
    select * from {{ source('raw', 'ref_alert_log') }}
),

renamed as (
    select
        line,
        alert_id,
        action,
        "on" as acted_on_date,
        comment
    from source
)

select * from renamed
