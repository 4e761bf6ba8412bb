{{ config(meta={'dagster': {'ref': {'name': 'int_disposition'}}}) }}

{#- The columns that name exactly one row of a table; of the published tables the gate judges the same. One test for
    all, because what a test costs is dbt's own work for it, not the query. -#}
{%- set keys = {
    'stg_alert_setting': 'rule, name',
    'stg_dose_total': 'load_seq, plane, quantity',
    'stg_irradiation_event': 'load_seq, event_no',
    'stg_operator': 'operator_id',
    'stg_room': 'room_id',
    'stg_site': 'site_id',
    'stg_source_hub': 'source_id, hub',
    'int_event': 'irradiation_event_uid',
    'int_event_kap': 'irradiation_event_uid',
    'int_dated_report': 'load_seq',
    'int_event_place': 'load_seq',
    'int_known_report': 'load_seq',
    'int_sent_event': 'load_seq, event_no',
    'int_used_total': 'load_seq',
    'int_quality_future': 'subject_type, room_id, detail',
    'int_quality_patient_id': 'threshold_name, period',
    'int_report_oddity': 'code, load_seq, field',
    'int_patient': 'stated_patient_key',
    'int_resent_event': 'load_seq, event_no',
    'int_kap_factor': 'study_key, room_id, plane',
    'int_procedure': 'procedure_id',
    'int_procedure_day': 'report_day',
    'int_repeated_event': 'load_seq, event_no',
    'int_expected_study': 'study_instance_uid, accession_number',
    'int_unmatched_device': 'device_serial, station_name, ae_title, physical_location',
    'int_report': 'load_seq',
    'int_report_day': 'report_day',
    'int_report_role': 'load_seq',
    'int_report_room': 'load_seq',
    'int_study': 'study_key',
    'int_study_class': 'study_key',
    'int_study_room': 'study_key, room_id',
    'int_study_total': 'study_key, room_id, plane, quantity',
    'int_badge_hour': 'measured_date, source_id, layout, dosimeter_serial, badge_key, quantity, operator_id, hub, evident_room_ids, clock_basis, is_not_occupational, token, length_us, is_zero_total, nth_hour',
    'int_badge_day': 'record_date, source_id, layout, dosimeter_serial, from_date, to_date',
    'int_unclear_badge': 'dosimeter_serial, measured_date, source_id',
    'int_unclear_badge_oddity': 'message',
    'int_unclear_dose': 'dose_key',
    'int_counter_oddity': 'load_seq, line, field',
    'int_counter_reading': 'load_seq, line, quantity',
    'int_derived_dose': 'load_seq, line, quantity',
    'int_dose': 'dose_key',
    'int_dose_day': 'measured_date',
    'int_file_day': 'load_seq, quantity, site_timezone, record_date',
    'int_file_reading': 'load_seq',
    'int_hour_day': 'measured_date',
    'int_hourly_residual': 'dose_key',
    'int_record_balance': 'record_date, load_seq, quantity, measured_date, row_disposition',
    'int_record_conflict': 'load_seq, line, quantity',
    'int_record_oddity': 'load_seq, field',
    'int_record_day': 'record_date',
    'int_record_version': 'load_seq, line, quantity',
    'int_clock_beam': 'irradiation_event_uid',
    'int_clock_day': 'procedure_date',
    'int_clock_match': 'room_id, procedure_date',
    'int_clock_estimate': 'room_id, offset_date',
    'int_clock_offset': 'room_id, offset_date',
    'int_clock_sample': 'dose_key, room_id',
    'int_beam_day': 'report_day',
    'int_beam_on': 'irradiation_event_uid, clock_basis',
    'int_disposition': 'dose_key, disposition, procedure_id',
    'int_disposition_day': 'measured_date',
    'int_disposed_dose': 'measured_date, source_id, layout, dosimeter_serial, badge_key, quantity, operator_id, evident_room_id, disposition, reason, procedure_id, irradiation_event_uid',
    'int_dose_evidence': 'dose_key',
    'int_link_day': 'measured_date',
    'int_logbook': 'procedure_id, operator_id',
    'int_procedure_clock': 'procedure_id, clock_basis',
    'int_manual_link': 'line',
    'int_sample_link': 'dose_key',
    'int_room_stretch': 'timeline_key, event_hash, from_at',
    'int_sample_room': 'sample_group, room_id',
    'int_span_link': 'dose_key, procedure_id',
    'int_vendor_link': 'dose_key',
    'int_badge_presence': 'procedure_id, operator_id, dosimeter_serial, badge_key',
    'int_withdrawn_reading': 'load_seq',
    'int_quality_refused_source': 'detail',
    'int_withdrawal_oddity': 'line',
    'int_same_bytes_oddity': 'load_seq',
    'int_c_arm_dose': 'procedure_id',
    'int_operator_badge': 'procedure_id, operator_id, dosimeter_serial, badge_key',
    'int_operator_procedure': 'procedure_id, operator_id',
    'int_operator_day': 'operator_id, dose_date, place',
    'int_operator_method': 'operator_id, month, quantity',
    'int_operator_quantity': 'operator_id, dose_date, quantity, place',
    'int_study_dose': 'study_key',
    'int_study_effective_dose': 'study_key',
    'int_alert_evidence': 'procedure_id, operator_id',
    'int_alert_threshold': 'rule, name',
    'int_class_quartile': 'site_id, procedure_type, procedure_date, rule',
    'int_quality_c_arm_drift': 'room_id, occurred_on',
    'int_quality_counter': 'threshold_name, detail, period',
    'int_quality_file': 'threshold_name, detail, period',
    'int_quality_clock': 'threshold_name, room_id, occurred_on',
    'int_quality_feed': 'threshold_name, period, detail',
    'int_quality_record': 'threshold_name, procedure_id, room_id, operator_id, period, detail',
    'int_quality_unlinked': 'wearer, room_id, month_date',
    'dim_advice': 'advice_code, language',
    'dim_alert_threshold': 'rule, name',
    'dose_statistics': 'breakdown, month, room, procedure_type, operator_group',
} -%}
{#- Tables kept by day: only the days that no build that succeeded has made, and so nobody has tested. An event of two days
    would be two rows of fct_irradiation_event, whose key the gate judges as a whole. -#}
{%- set kept = [
    ('int_event', 'report_day'),
    ('int_beam_on', 'report_day'),
    ('int_record_version', 'record_date'),
    ('int_badge_day', 'record_date'),
    ('int_record_balance', 'record_date'),
    ('int_record_conflict', 'record_date'),
    ('int_dose_evidence', 'measured_date'),
    ('int_badge_hour', 'measured_date'),
    ('int_hourly_residual', 'measured_date'),
    ('int_sample_link', 'measured_date'),
    ('int_disposition', 'measured_date'),
    ('int_disposed_dose', 'measured_date'),
] -%}

{{ config(meta={'dagster': {'ref': {'name': 'int_disposition'}}}) }}

{#- Whose rows the next table takes over one by one: a key that names two of them names two of int_dose_evidence,
    or of fct_irradiation_event. -#}
{%- set taken_over = ['int_dose', 'int_event_kap'] -%}

-- A row is a key that names several rows: a join that fanned out, and dose or a procedure counted twice.
with final as (
    {% for table, key in keys.items() if table not in taken_over %}
        select
            '{{ table }}' as table_name,
            '{{ key }}' as key_columns,
            count(*) as n_rows
        from {{ ref(table) }}
        {% for name, part in kept if name == table -%}
            where {{ is_untested(name, part) }}
        {%- endfor %}
        group by {{ key }}
        having count(*) > 1
        {{ "union all" if not loop.last }}
    {% endfor %}
)

select * from final
