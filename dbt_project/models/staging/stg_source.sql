with source as (
    select * from {{ source('raw', 'source') }}
),

renamed as (
    select
        source_id,
        layout,
        timezone as source_timezone,
        dst as has_dst,
        sample_seconds,
        counter,
        records_when_idle,
        has_hubs,
        quiet_until as quiet_until_date,
        lod_usv
    from source
)

select * from renamed
