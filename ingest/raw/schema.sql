-- Raw tables of the build database: append-only, one file per transaction, nothing decided.
-- Canonical units: Gy.cm2 (KAP), mGy (Ka,r, CTDIvol, AGD), mGy.cm (DLP), s, microsievert (badges). NULL = not stated.
-- Reference tables (raw.ref_*) are made by ingest/site/reference.py from the same table of columns that validates them.
create schema if not exists raw;

create table if not exists raw.warehouse (  -- one row: what this database belongs to
    schema_version integer not null,
    site_id varchar not null,
    key_id varchar not null,
    created_at timestamptz not null
);

create table if not exists raw.file (  -- one row per reading of a (path, content) ever seen
    load_seq bigint primary key,
    order_seq bigint not null,  -- place in the order of versions: load_seq of the first reading of these bytes at this path
    superseded_by bigint,  -- load_seq of a later reading of the same bytes, under a changed description
    path varchar not null,  -- relative to the site, de-identified; for the site's own account
    shown_path varchar not null,  -- as it is published: of what is no readable report, a keyed hash (ingest/raw/published_path.py)
    path_key varchar not null,  -- keyed hash of the true path
    sha256 varchar not null,  -- of the bytes; empty where there are none to read (a pipe, a broken link)
    size_bytes bigint not null,
    kind varchar not null,
    source_id varchar,
    first_seen_at timestamptz not null,
    status varchar not null,  -- loaded | duplicate | not_dose | ignored | quarantined; later versions are judged in dbt
    reason varchar,
    rows_loaded bigint not null,
    rows_rejected bigint not null,
    duplicate_of bigint,  -- load_seq of the file that has the same bytes
    description_sha256 varchar,  -- of what decides whether it is refused: ledger.py, readers_of
    meaning_sha256 varchar,  -- of what a row means by the source's description; NULL for dose reports
    accepted_meaning_sha256 varchar  -- under which a user left this reading as it is: its bytes cannot be read again
);

create table if not exists raw.file_stat (  -- what the last scan saw, so that unchanged files are not read again
    path_key varchar primary key,
    size_bytes bigint not null,
    mtime_ns bigint not null,
    sha256 varchar not null
);

create table if not exists raw.archived_export (  -- one row per content of a source of which a copy is kept
    source_id varchar not null,
    sha256 varchar not null,  -- of the content
    content_bytes bigint not null,
    kept_in varchar not null,  -- content whose copy holds it: its own, or that of a longer one that begins with it
    kept_bytes bigint not null,  -- of the unpacked copy, from its begin, are this content
    blank_places varchar not null,  -- of the ignored columns, whose cells are left out; comma-separated
    delimiter varchar not null,  -- by which their cells were found, as the two below
    skip_rows integer not null,
    encoding varchar not null,
    archived_at timestamptz not null,
    primary key (source_id, sha256)
);

create table if not exists raw.recent_file (  -- one row per reading first seen in the 30 days before the last scan that still lies there
    load_seq bigint primary key
);

create table if not exists raw.dose_report (  -- one row per dose report object loaded
    load_seq bigint primary key,
    sop_instance_uid varchar not null,
    sop_class_uid varchar not null,
    study_instance_uid varchar,
    series_instance_uid varchar,
    accession_number varchar,
    modality varchar not null,
    template_id varchar,
    study_description varchar,
    requested_procedure varchar,
    protocol varchar,
    procedure_codes varchar[] not null,
    study_date date,
    content_local timestamp,
    instance_number bigint,
    device_uid varchar,  -- Device Observer UID (121012)
    device_serial varchar,
    device_serial_sr varchar,
    station_name varchar,
    ae_title varchar,
    physical_location varchar,
    manufacturer varchar,
    model varchar,
    patient_key varchar,  -- keyed hash of issuer and patient ID as stated; NULL, like the next three, without an ID
    issuer_key varchar,  -- keyed hash of the issuer; NULL where none is stated
    patient_id_key varchar,  -- keyed hash of the patient ID alone
    patient_id_stripped_key varchar,  -- keyed hash of the patient ID without leading zeros
    patient_age_years integer,
    patient_sex varchar,
    is_scope_event boolean not null,
    charset_rule varchar not null,
    events_stated bigint not null  -- event containers of the report, counted apart from reading them
);

create table if not exists raw.dose_total (  -- one row per report, plane and quantity stated
    load_seq bigint not null,
    plane varchar not null,
    quantity varchar not null,
    value decimal(28, 12) not null
);

create table if not exists raw.irradiation_event (  -- one row per event in a report
    load_seq bigint not null,
    event_no integer not null,
    event_uid varchar not null,
    is_uid_made boolean not null,
    plane varchar not null,
    event_type varchar not null,
    started_raw varchar,
    started_local timestamp,
    utc_offset_min integer,
    time_rule varchar not null,
    duration_s decimal(18, 6),
    number_of_pulses decimal(18, 6),
    pulse_rate_per_s decimal(18, 6),
    pulse_width_ms decimal(18, 6),
    fluoro_mode varchar,
    exposure_time_ms decimal(18, 6),
    kap_gy_cm2 decimal(28, 12),
    ka_r_mgy decimal(28, 12),
    kvp decimal(18, 6),
    tube_current_ma decimal(18, 6),
    primary_angle_deg decimal(18, 6),
    secondary_angle_deg decimal(18, 6),
    primary_end_angle_deg decimal(18, 6),
    secondary_end_angle_deg decimal(18, 6),
    source_to_isocenter_mm decimal(18, 6),
    source_to_detector_mm decimal(18, 6),
    source_to_reference_point_mm decimal(18, 6),
    reference_point varchar,
    table_longitudinal_mm decimal(18, 6),
    table_lateral_mm decimal(18, 6),
    table_height_mm decimal(18, 6),
    patient_table_relationship varchar,
    patient_orientation varchar,
    patient_orientation_modifier varchar,
    patient_equivalent_thickness_mm decimal(18, 6),
    copper_filter_mm decimal(18, 6),
    filters struct(material varchar, minimum_mm decimal(18, 6), maximum_mm decimal(18, 6))[] not null,
    collimated_field_area_cm2 decimal(18, 6),
    collimated_field_height_mm decimal(18, 6),
    collimated_field_width_mm decimal(18, 6),
    acquisition_protocol varchar,
    target_region varchar,
    dlp_mgy_cm decimal(28, 12),
    ctdi_vol_mgy decimal(28, 12),
    ctdi_phantom varchar,
    ct_acquisition_type varchar,
    scanning_length_mm decimal(18, 6),
    dlp_alert_value_mgy_cm decimal(18, 6),
    dlp_forward_estimate_mgy_cm decimal(18, 6),
    ctdi_vol_alert_value_mgy decimal(18, 6),
    ctdi_vol_forward_estimate_mgy decimal(18, 6),
    agd_mgy decimal(28, 12),
    laterality varchar,
    compression_thickness_mm decimal(18, 6),
    compression_force_n decimal(18, 6),
    has_breast_item boolean not null
);

create table if not exists raw.dose_record (  -- one row per readable export row and quantity, repeats included
    load_seq bigint not null,
    line bigint not null,
    source_id varchar not null,
    layout varchar not null,
    dosimeter_serial varchar not null,
    quantity varchar not null,
    value_usv decimal(18, 9),
    token varchar,
    started_at timestamptz,  -- NULL: a procedure total that states no time
    ended_at timestamptz,
    is_ambiguous boolean not null,
    is_start_doubled boolean not null,
    hub varchar,
    peak_rate_usv_per_h decimal(18, 9),
    study_instance_uid varchar,
    accession_number varchar,
    period_begin date,
    period_end date
);

create table if not exists raw.rejected_row (  -- one row per export row that could not be read
    load_seq bigint not null,
    line bigint not null,
    reason varchar not null,
    raw varchar not null
);

create table if not exists raw.rejected_dose (  -- one row per quantity that a rejected row states
    load_seq bigint not null,
    line bigint not null,
    quantity varchar not null,
    value_usv decimal(18, 9)  -- NULL: the cell cannot be read, or is below detection
);

create table if not exists raw.file_statement (  -- one row per reading of an export and quantity: counted while it is read
    load_seq bigint not null,
    quantity varchar not null,
    rows_stated bigint not null,
    stated_usv decimal(38, 9) not null
);

create table if not exists raw.finding (  -- one row per oddity in an input that was loaded all the same
    load_seq bigint,  -- NULL: a reference file
    path varchar not null,
    line bigint,
    field varchar,
    code varchar not null,
    message varchar not null
);

create table if not exists raw.pull (  -- one row per server and pull; append-only
    seq bigint primary key,
    run_id varchar not null,  -- of the pull: the instant at which it began
    server varchar not null,
    period_begin date not null,
    period_end date not null,
    studies bigint not null,
    series bigint not null,
    found bigint not null,  -- = stored + known + failed
    stored bigint not null,
    known bigint not null,
    failed bigint not null,
    unanswered bigint not null  -- days, studies and series without a usable answer
);

create table if not exists raw.pacs_study (  -- one row per study of an expected modality that a server named, and wording
    seq bigint primary key,
    server varchar not null,
    study_instance_uid varchar not null,
    accession_number varchar,
    study_date date not null,  -- as stated, else the requested day
    modalities varchar[] not null,
    named_on date not null  -- the date of the run
);

create table if not exists raw.unanswered_object (  -- one row per study, series or object not had so far; replaced
    server varchar not null,
    study_date date not null,
    study_instance_uid varchar,  -- NULL: the server states none
    series_instance_uid varchar,  -- NULL: it does not name the series of the study
    sop_instance_uid varchar,  -- NULL: it does not name the objects of the series
    accession_number varchar,
    nights bigint not null,  -- dates of runs on which it failed
    is_given_up boolean not null,  -- failed on 7 nights: no longer requested, and no longer delays the look-back
    first_failed_on date not null,
    last_failed_on date not null,
    reason varchar not null
);

create table if not exists raw.input_file (  -- one row per site.yaml, reference CSV and source description in use
    path varchar primary key,  -- relative to the site
    sha256 varchar not null
);

create table if not exists raw.ref_dosimeter_overlap (  -- one row per interval of days with several assignments of a badge
    dosimeter_serial varchar not null,
    source_id varchar,  -- in whose exports; NULL: in those of every source
    from_date date not null,
    to_date date  -- inclusive; NULL: still
);

create table if not exists raw.site (  -- one row: the site.yaml values that models use
    site_id varchar not null,
    name varchar not null,
    timezone varchar not null,
    language varchar not null,
    jurisdiction varchar not null,
    lens_regime varchar,  -- NULL: the jurisdiction's own
    passive_delay_days integer not null,  -- days after which the result of a passive badge is late
    is_patient_id_stripped boolean not null  -- patient_id: strip_leading_zeros
);

create table if not exists raw.source (  -- one row per dosimeter source description
    source_id varchar primary key,
    layout varchar not null,
    timezone varchar not null,
    dst boolean not null,
    sample_seconds decimal(18, 6) not null,
    counter varchar not null,
    records_when_idle boolean not null,
    has_hubs boolean not null,  -- a hub column is mapped
    quiet_until date,  -- last local date on which no record is expected
    lod_usv decimal(18, 9)  -- what a badge result below detection is at most; NULL: not stated
);

create table if not exists raw.source_hub (  -- one row per hub name of a source
    source_id varchar not null,
    hub varchar not null,
    room_id varchar not null
);

create table if not exists raw.alert_setting (  -- one row per changed threshold or switch of site.yaml: alerts
    rule varchar not null,
    name varchar not null,
    value varchar not null
);
