with source as (
    select * from {{ source('raw', 'alert_setting') }}
),

renamed as (
    select
        rule,
        name,
        value as setting_value
    from source
)

select * from renamed
