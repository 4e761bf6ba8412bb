"""Every value that the real reports' manifest and their sources' own tests state is met, or said why it is not read."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import cast

import pytest
from support.conformance import PAGE, Check, asserted_checks, manifest_checks, page, total
from support.real_reports import FOLDER, WHY_MISSING, outcome, present, rows

from ingest.records import DoseReport, Patient, Refused

pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason=WHY_MISSING)

MANIFEST = present("manifest.csv")
MODALITY = {"CT": "ct", "RF": "projection", "DX": "projection", "MG": "projection"}


def report(file: str) -> DoseReport:
    found = outcome(file)
    assert isinstance(found, DoseReport), found
    return found


@pytest.mark.parametrize("entry", MANIFEST, ids=lambda e: e["file"])
def test_dose_reports_are_read_and_others_are_refused(entry: dict[str, str]) -> None:
    found = outcome(entry["file"])
    if entry["kind"].startswith("negative"):
        assert isinstance(found, Refused)
        assert found.status == "not_dose"
    else:
        assert isinstance(found, DoseReport)
        assert found.modality == MODALITY[entry["modality"]]


def test_fluoroscopy_files_are_there() -> None:
    assert sum(entry["modality"] == "RF" for entry in MANIFEST) >= 10


@pytest.mark.parametrize("check", manifest_checks(), ids=lambda c: f"{c.file}-{c.quantity}")
def test_every_value_of_the_manifest_is_met(check: Check) -> None:
    assert check.is_met, check.read


@pytest.mark.parametrize("check", asserted_checks(), ids=lambda c: f"{c.file}-{c.quantity}")
def test_every_value_that_the_sources_assert_is_met_or_its_refusal_explained(check: Check) -> None:
    assert check.is_met or check.why_not, check.read


def test_what_is_not_read_stays_little() -> None:
    checks = list(asserted_checks())
    assert len(checks) == 114
    assert sum(check.why_not is None for check in checks) >= 89


def test_another_reader_stored_the_same() -> None:
    for entry in present("openrem_stored.csv"):
        found = report(entry["file"])
        assert len(found.events) == int(entry["n_events"])
        for stated, quantity, unit in (("total_dap_gym2", "kap", "Gy.m2"), ("plane_a_dose_rp_gy", "ka_r", "Gy")):
            assert Check(entry["file"], stated, entry[stated], unit, total(found, quantity), None).is_met


def test_traps() -> None:
    zee, doctored = report("RF-RDSR-Siemens-Zee.dcm"), report("RF-RDSR-Siemens-Zee_adjusted.dcm")
    assert zee.sop_instance_uid == doctored.sop_instance_uid
    assert zee.study_instance_uid != doctored.study_instance_uid
    assert [e.event_uid for e in zee.events] == [e.event_uid for e in doctored.events]
    ge = report("RF-RDSR-GE.dcm")
    assert {(e.utc_offset_min, e.time_rule) for e in ge.events} == {(-240, "header_offset")}
    flash = report("CT-RDSR-Siemens_Flash-TAP-SS.dcm")
    assert len(flash.events) == 4
    assert report("DX-RDSR-Canon_CXDI.dcm").events[0].ka_r_mgy is None  # empty, not 0
    allura = report("RF-RDSR-Philips_Allura.dcm")
    assert (allura.model, allura.charset_rule) == (None, "stated")
    assert all(e.duration_s is None for e in zee.events)  # only exposure time is stated
    assert {e.target_region for e in report("MG-RDSR-Hologic_2D.dcm").events} == {"breast"}


def test_no_event_of_a_real_report_lacks_its_uid_or_start() -> None:
    for entry in MANIFEST:
        found = outcome(entry["file"])
        if isinstance(found, DoseReport):
            assert not any(e.is_uid_made for e in found.events)
            assert found.modality == "ct" or all(e.started_local for e in found.events)


def test_no_text_of_a_real_report_keeps_its_patient() -> None:
    for entry in MANIFEST:
        found = outcome(entry["file"])
        if isinstance(found, DoseReport):
            everything = repr(replace(found, patient=cast("Patient", None), manufacturer=None, model=None))
            for name in found.patient.names:
                assert not [p for p in re.split(r"[\^= ]+", name) if len(p) >= 6 and p in everything], entry["file"]


def test_the_conformance_page_is_up_to_date() -> None:
    if len(MANIFEST) < len(rows("manifest.csv")):
        pytest.skip("the page is made from all reports, and some are in no package")
    assert PAGE.read_text(encoding="utf-8") == page()
