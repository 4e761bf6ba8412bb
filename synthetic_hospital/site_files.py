"""The demo hospital's site.yaml and reference tables, in the layout of the input contract (v1).

Belongs here: how the catalogue and the logbook are written down. Does not belong here: exports, reports, truth.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from datetime import date

from synthetic_hospital.catalogue import (
    DRL_CITATION,
    DRL_KAP_GY_CM2,
    PROCEDURE_CLASSES,
    PROCEDURE_TYPE_RULES,
    Preset,
)
from synthetic_hospital.export_files import description_yaml, sources_of
from synthetic_hospital.follow_up import draw_follow_ups
from synthetic_hospital.hospital import Hospital, generator
from synthetic_hospital.people import PLACEHOLDER_ID
from synthetic_hospital.report_files import report_conditions

EMPLOYED_FROM = date(2020, 1, 1)
ASSIGNED_FROM = date(2023, 1, 1)
WITHOUT_STUDY_UID_SHARE = 0.05  # logbook entries of staff who know the accession number only

SITE_YAML = """\
# A synthetic hospital: nobody here exists. Same layout as a real site; `doseledger check --site .` explains each error.
site_id: {site_id}
name: {name}
timezone: {timezone}       # zone of every time that carries none
language: en                     # letters and reports: en | fr | es
jurisdiction: eu                 # picks dose limits and methods
lens_regime: annual_20           # 20 mSv a year
as_of: fixed                     # its days are over: a run that states no date keeps the publication's
data_dir: data                   # everything that is written goes below this folder
patient_id_placeholders: [{placeholder}, UNKNOWN, TEST, "0"]
dose_reports:
  folder: inbox/dose_reports
mail:
  from: doseledger@hospital.example
  medical_physics: [mpe@hospital.example]
  smtp_url_env: DOSELEDGER_SMTP_URL   # not set: letters are written to data/outbox/*.eml
gate:
  max_quarantined_files_share: 0.05
"""


def site_files(hospital: Hospital) -> Iterator[tuple[str, str]]:
    """Path relative to the site and text of each file that a site's medical physicist would write."""
    preset = hospital.preset
    yield (
        "site.yaml",
        SITE_YAML.format(
            site_id=preset.site_id, name=preset.site_name, timezone=preset.timezone, placeholder=PLACEHOLDER_ID
        ),
    )
    for source in sources_of(preset):
        yield f"sources/{source.source_id}.yaml", description_yaml(source, preset)
    yield "reference/rooms.csv", _rooms(preset)
    yield "reference/operators.csv", _operators(preset)
    yield "reference/dosimeters.csv", _dosimeters(preset)
    yield "reference/procedure_types.csv", _procedure_types()
    yield "reference/logbook.csv", _logbook(hospital)
    yield "reference/drl.csv", _drl()
    yield "reference/kap_calibration.csv", _kap_calibration(preset)
    yield "reference/patient_followup.csv", _patient_followup(hospital)


def csv_text(header: str, rows: Iterable[Iterable[object]]) -> str:
    """A CSV table: comma, header line, LF, empty cell for None."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header.split(","))
    writer.writerows(rows)
    return buffer.getvalue()


def _rooms(preset: Preset) -> str:
    return csv_text(
        "room_id,name,specialty,station_name,device_serial,ae_title,physical_location,manufacturer,model,"
        "device_timezone,c_arm_dosimeter",
        (
            (
                room.room_id,
                room.name,
                room.specialty,
                room.station_name,
                room.device_serial,
                room.ae_title,
                None,
                room.manufacturer,
                room.model,
                room.device_timezone,
                room.c_arm_badge,
            )
            for room in preset.rooms
        ),
    )


def _operators(preset: Preset) -> str:
    return csv_text(
        "operator_id,name,specialty,grade,worker_category,email,language,works_from,works_to,birth_date,"
        "pregnancy_declared_on,pregnancy_ended_on,rp_training_valid_until,wears_lead_glasses,wears_thyroid_collar",
        (
            (
                person.operator_id,
                person.name,
                person.specialty,
                person.grade,
                person.worker_category,
                f"{person.operator_id.lower()}@hospital.example",
                person.language,
                EMPLOYED_FROM,
                None,
                None,
                person.pregnancy_declared_on,
                None,
                person.rp_training_valid_until,
                str(person.wears_lead_glasses).lower(),
                str(person.wears_thyroid_collar).lower(),
            )
            for person in preset.operators
        ),
    )


def _dosimeters(preset: Preset) -> str:
    return csv_text(
        "dosimeter_serial,worn_at,operator_id,room_id,valid_from,valid_to",
        (
            (badge.serial, badge.worn_at, badge.operator_id, badge.room_id, ASSIGNED_FROM, None)
            for badge in preset.badges()
        ),
    )


def _procedure_types() -> str:
    return csv_text(
        "priority,field,match,pattern,procedure_type,specialty",
        ((*rule, PROCEDURE_CLASSES[rule[-1]].specialty) for rule in PROCEDURE_TYPE_RULES),
    )


def _logbook(hospital: Hospital) -> str:
    rng = generator(hospital.seed, "logbook")
    conditions = report_conditions(hospital)
    rows = []
    for procedure in hospital.procedures:
        is_numbered_only = rng.random() < WITHOUT_STUDY_UID_SHARE
        # A study known by its accession number only cannot be found where the report has another one.
        is_findable = conditions.get(procedure.number) != "wrong_accession"
        study_uid = None if is_numbered_only and is_findable else procedure.study_uid
        rows += [
            (study_uid, procedure.accession_number, person.operator_id, person.role)
            for person in procedure.participants
        ]
    return csv_text("study_instance_uid,accession_number,operator_id,role", rows)


def _drl() -> str:
    return csv_text(
        "jurisdiction,procedure_type,quantity,value,unit,year,citation",
        (("eu", kind, "kap", value, "Gy.cm2", 2018, DRL_CITATION) for kind, value in DRL_KAP_GY_CM2),
    )


def _kap_calibration(preset: Preset) -> str:
    return csv_text(
        "room_id,plane,factor,valid_from,valid_to,certificate",
        (
            (room.room_id, "single", c.factor, c.valid_from, c.valid_to, c.certificate)
            for room in preset.rooms
            for c in room.calibrations
        ),
    )


def _patient_followup(hospital: Hospital) -> str:
    return csv_text(
        "procedure_id,accession_number,informed_on,seen_on,skin_grade,by,comment",
        (
            (None, row.procedure.accession_number, row.informed_on, row.seen_on, row.skin_grade, "mpe", None)
            for row in draw_follow_ups(hospital)
        ),
    )
