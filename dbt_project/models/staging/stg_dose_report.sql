with source as (
    select * from {{ source('raw', 'dose_report') }}
),

renamed as (
    select
        load_seq,
        sop_instance_uid,
        sop_class_uid,
        study_instance_uid,
        accession_number,
        modality as template_modality,
        study_description,
        requested_procedure,
        protocol,
        procedure_codes,
        study_date,
        content_local,
        instance_number,
        device_uid,
        coalesce(device_serial, device_serial_sr) as device_serial,
        station_name,
        ae_title,
        physical_location,
        manufacturer,
        model,
        patient_key as stated_patient_key,
        issuer_key,
        patient_id_key,
        patient_id_stripped_key,
        patient_age_years,
        patient_sex,
        is_scope_event,
        events_stated
    from source
)

select * from renamed
