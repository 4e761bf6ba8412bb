with source as (
    select * from {{ source('raw', 'site') }}
),

renamed as (
    select
        site_id,
        name as site_name,
        timezone as site_timezone,
        language,
        jurisdiction,
        lens_regime,
        passive_delay_days,
        is_patient_id_stripped
    from source
)

select * from renamed
