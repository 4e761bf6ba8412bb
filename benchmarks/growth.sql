-- The hospital of growth.py as raw tables, written straight: from day $from_day up to, not including, day $to_day.
-- $rooms rooms; in each $per_day procedures a day, of twenty events of 5 to 20 s. A badge on the C-arm, and one worn by each of
-- two people of the logbook, who are at every other procedure's beams: some 500 samples of 1 s a procedure, whose hub names the
-- room. One export a day (load_seq 1000 * day) and one report a procedure. A hundred thousand patients.
-- reference
insert into raw.site values ('growth', 'Growth', 'Europe/Madrid', 'en', 'eu', 'annual_20', false);
insert into raw.source values ('rates', 'rate_samples', 'UTC', false, 1, 'increment', false, true);
insert into raw.source_hub select 'rates', 'HUB' || i, 'ROOM' || i from range($rooms) as rooms (i);
insert into raw.ref_rooms by name
select 'ROOM' || i as room_id, 'cardiology' as specialty, 'SERIAL' || i as device_serial, 'UTC' as device_timezone, i as line
from range($rooms) as rooms (i);
insert into raw.ref_operators by name
select 'OP' || b || '_' || i as operator_id, 'cardiology' as specialty, 'consultant' as grade, 'A' as worker_category, i as line
from range($rooms) as rooms (i), range(1, 3) as badges (b);
insert into raw.ref_dosimeters by name
select
    'B' || b || '_' || i as dosimeter_serial, if(b = 0, 'c_arm', 'over_apron_collar') as worn_at,
    if(b > 0, 'OP' || b || '_' || i, null) as operator_id, if(b = 0, 'ROOM' || i, null) as room_id,
    date '2000-01-01' as valid_from, i as line
from range($rooms) as rooms (i), range(3) as badges (b);
insert into raw.ref_procedure_types by name
select 1 as priority, 'study_description' as field, 'contains' as match, 'angio' as pattern, 'angiography' as procedure_type,
    'cardiology' as specialty, 1 as line;
-- days
create or replace temp table procedure as
select
    d, i, p, 1000 * (d + 1) + 1 + i * $per_day + p as load_seq, '1.2.840.' || d || '.' || i || '.' || p as study,
    make_timestamp(epoch_us(timestamp '$first_day 07:00:00') + 1000000 * (d * 86400 + p * 3900 + hash(d, i, p)::hugeint % 300)::bigint)
        as started_at
from range($from_day, $to_day) as days (d), range($rooms) as rooms (i), range($per_day) as procedures (p);
create or replace temp table event as
select *, make_timestamp(epoch_us(started_at) + 1000000 * (k * 150 + hash(load_seq, k)::hugeint % 100)::bigint) as event_at,
    (5 + hash(k, load_seq)::hugeint % 16)::integer as length_s
from procedure, range(20) as events (k);
insert into raw.file by name
select load_seq, load_seq as order_seq, 'inbox/dose_reports/' || load_seq as path, load_seq as path_key, load_seq as sha256, 1 as size_bytes,
    'dose_report' as kind, timestamptz '2010-01-01' as first_seen_at, 'loaded' as status, 20 as rows_loaded, 0 as rows_rejected
from procedure
union all by name
select 1000 * (d + 1) as load_seq, 1000 * (d + 1) as order_seq, 'inbox/dosimeters/rates/' || d as path, 1000 * (d + 1) as path_key,
    1000 * (d + 1) as sha256, 1 as size_bytes, 'dosimeter' as kind, 'rates' as source_id, timestamptz '2010-01-01' as first_seen_at,
    'loaded' as status, 1 as rows_loaded, 0 as rows_rejected
from range($from_day, $to_day) as days (d);
insert into raw.dose_report by name
select load_seq, study || '.1' as sop_instance_uid, '1.2.840.10008.5.1.4.1.1.88.67' as sop_class_uid,
    study as study_instance_uid, 'XA' as modality, 'angio' as study_description, []::varchar[] as procedure_codes,
    started_at::date as study_date, started_at as content_local, 'SERIAL' || i as device_serial,
    md5('P' || hash(load_seq)::hugeint % 100000) as patient_key, 60 as patient_age_years, true as is_scope_event, 'utf8' as charset_rule,
    patient_key as patient_id_key, patient_key as patient_id_stripped_key, 20 as events_stated
from procedure;
insert into raw.dose_total by name
select load_seq, 'single' as plane, unnest(['kap', 'ka_r', 'fluoro_time']) as quantity, unnest([20, 300, 250]) as value
from procedure;
insert into raw.irradiation_event by name
select load_seq, k as event_no, study || '.2.' || k as event_uid, false as is_uid_made, 'single' as plane,
    'fluoroscopy' as event_type, event_at as started_local, 'room' as time_rule, length_s as duration_s, 1 as kap_gy_cm2,
    15 as ka_r_mgy, []::struct(material varchar, minimum_mm decimal(18, 6), maximum_mm decimal(18, 6))[] as filters,
    false as has_breast_item
from event;
insert into raw.ref_logbook by name
select study as study_instance_uid, 'OP' || b || '_' || i as operator_id, if(b = 1, 'first_operator', 'second_operator') as role,
    load_seq as line
from procedure, range(1, 3) as badges (b);
insert into raw.dose_record by name
select 1000 * (d + 1) as load_seq, row_number() over (partition by d) as line, 'rates' as source_id, 'rate_samples' as layout,
    'B' || b || '_' || i as dosimeter_serial, 'hp10' as quantity, 0.05 as value_usv,
    make_timestamptz(epoch_us(event_at) + 1000000 * s) as started_at, make_timestamptz(epoch_us(event_at) + 1000000 * (s + 1)) as ended_at,
    false as is_ambiguous, false as is_start_doubled, 'HUB' || i as hub
from event, range(20) as seconds (s), range(3) as badges (b)
where s < length_s and (b = 0 or hash(load_seq, b)::hugeint % 100 < 50)
order by load_seq, started_at;
