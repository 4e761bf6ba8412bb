with source as (
    select * from {{ source('raw', 'ref_external_dose') }}
),

renamed as (
    select
        operator_id,
        period_begin as period_begin_date,
        period_end as period_end_date,
        quantity,
        dose_msv,
        line
    from source
)

select * from renamed
