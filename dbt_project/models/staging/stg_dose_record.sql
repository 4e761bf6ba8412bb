with source as (
    select * from {{ source('raw', 'dose_record') }}
),

renamed as (
    select
        load_seq,
        line,
        source_id,
        layout,
        dosimeter_serial,
        quantity,
        value_usv,
        token,
        started_at,
        ended_at,
        is_ambiguous,
        is_start_doubled,
        hub,
        peak_rate_usv_per_h,
        study_instance_uid,
        accession_number,
        period_begin as period_begin_date,
        period_end as period_end_date
    from source
)

select * from renamed
