"""The reports of the synthetic hospitals say what really happened there: events, totals, CT, refusals, no names."""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from support import paths

from ingest.dose_reports import read_dose_report, scrub
from ingest.records import DoseReport, Refused

SHARED = paths.SHARED
ZONE = ZoneInfo("Europe/Madrid")  # of both site.yaml
HOSPITALS = [
    pytest.param(
        name,
        marks=pytest.mark.skipif(not (SHARED / name).exists(), reason=f"../shared/{name} is not beside this checkout"),
    )
    for name in ("hospital_tiny", "hospital_clean")
]
REFUSED = {"not_dose", "quarantined"}

pytestmark = pytest.mark.parametrize("hospital", HOSPITALS)


def truth(hospital: str, table: str) -> list[dict[str, str]]:
    with (SHARED / f"{hospital}_truth" / f"truth_{table}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@cache
def outcomes(hospital: str) -> dict[str, DoseReport | Refused]:
    def outcome(path: Path) -> DoseReport | Refused:
        try:
            return read_dose_report(path.read_bytes())
        except Refused as refused:
            return refused

    inbox = SHARED / hospital / "inbox/dose_reports"
    paths = sorted(path for path in inbox.rglob("*") if path.is_file())
    return {str(path.relative_to(SHARED / hospital)): outcome(path) for path in paths}


def reports(hospital: str) -> list[DoseReport]:
    return [found for found in outcomes(hospital).values() if isinstance(found, DoseReport)]


def number(text: str) -> Decimal | None:
    return Decimal(text) if text else None


def test_what_is_refused_is_what_should_be(hospital: str) -> None:
    found = outcomes(hospital)
    for row in truth(hospital, "file"):
        if row["kind"] == "dose_report":
            expected = set(row["expected_status"].split("|"))
            outcome = found[row["path"]]
            is_right = outcome.status in expected if isinstance(outcome, Refused) else not expected & REFUSED
            assert is_right, (row, outcome)


def test_every_event_is_read_as_it_was(hospital: str) -> None:
    rows = {row["irradiation_event_uid"]: row for row in truth(hospital, "event")}
    seen = set()
    for report in reports(hospital):
        for event in report.events if report.modality == "projection" else ():
            row = rows[event.event_uid]
            seen.add(event.event_uid)
            assert event.started_local is not None
            started = event.started_local.replace(tzinfo=ZONE).astimezone(UTC)
            assert abs(started - datetime.fromisoformat(row["modality_started_at"])).total_seconds() < 1
            assert (event.plane, event.event_type) == (row["plane"], row["event_type"])
            assert event.kap_gy_cm2 == number(row["reported_kap_gy_cm2"])
            assert event.ka_r_mgy == number(row["ka_r_mgy"])
            pulses, rate = event.number_of_pulses, event.pulse_rate_per_s
            duration = event.duration_s if event.duration_s is not None else pulses / rate  # type: ignore[operator]
            assert abs(duration - Decimal(row["duration_s"])) < Decimal("0.001")
    missing = set(rows) - seen
    absent = {row["study_instance_uid"] for row in truth(hospital, "procedure") if row["expected_present"] == "0"}
    assert {rows[uid]["study_instance_uid"] for uid in missing} <= absent


def test_the_fullest_report_of_a_study_states_its_kap(hospital: str) -> None:
    compared = 0
    for row in truth(hospital, "procedure"):
        of_study = [r for r in reports(hospital) if r.study_instance_uid == row["study_instance_uid"]]
        whole = [r for r in of_study if len(r.events) == int(row["n_events"]) and r.totals]
        if whole:
            kap = sum(t.value for t in whole[-1].totals if t.quantity == "kap")
            assert abs(kap - Decimal(row["reported_kap_gy_cm2"])) <= max(kap * Decimal("0.02"), Decimal("0.05")), row
            compared += 1
    assert compared >= 35


def test_ct_studies(hospital: str) -> None:
    rows = {row["study_instance_uid"]: row for row in truth(hospital, "ct")}
    read = {r.study_instance_uid: r for r in reports(hospital) if r.modality == "ct"}
    assert read.keys() == rows.keys()
    for study, report in read.items():
        assert [t.value for t in report.totals] == [Decimal(rows[str(study)]["dlp_mgy_cm"])]
        assert max(e.ctdi_vol_mgy or 0 for e in report.events) == Decimal(rows[str(study)]["ctdi_vol_mgy"])


def test_no_name_or_id_of_a_patient_is_left(hospital: str) -> None:
    strings = [row["string"] for row in truth(hospital, "phi")]
    found = reports(hospital)
    assert any(string in repr(report.patient) for report in found for string in strings)
    for report in found:
        stored = repr(report).replace(repr(report.patient), "")
        assert not [string for string in strings if string in stored]
    for report in found:  # a path that names its own patient
        path = f"inbox/{report.patient.patient_id}/{report.patient.names[0].replace('^', '_')}.dcm"
        assert not [string for string in strings if string in scrub(path, report.patient)]
