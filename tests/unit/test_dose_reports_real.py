"""Every value that the real reports' manifest and their sources' own tests state is met, or said why it is not read."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal

import pytest
from real_reports import CHECKOUT, FOLDER, WHY_MISSING, conformance_table, outcome, rows

from ingest.records import DoseReport, IrradiationEvent, Refused

pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason=WHY_MISSING)

MANIFEST, EXPECTED = rows("manifest.csv"), rows("expected.csv")
TO_CANONICAL = {"Gy.m2": Decimal(10_000), "Gy": Decimal(1000), "m2": Decimal(10_000)}
READ_TO = Decimal("1e-6")  # relative: the tables give seven digits or more


def report(file: str) -> DoseReport:
    found = outcome(file)
    assert isinstance(found, DoseReport), found
    return found


def total(found: DoseReport, quantity: str) -> Decimal | None:
    """Over planes, as the manifest counts them."""
    values = [t.value for t in found.totals if t.quantity == quantity]
    return sum(values) if values else None


def event_sum(found: DoseReport, column: str) -> Decimal | None:
    values = [v for e in found.events if (v := getattr(e, column)) is not None]
    return sum(values) if values else None


def meets(value: object, stated: str, unit: str) -> bool:
    """Equal, numbers to six digits after the stated unit is made ours; an empty text means None."""
    if value is None or stated == "":
        return value is None and stated == ""
    if isinstance(value, int | Decimal):
        wanted = Decimal(stated) * TO_CANONICAL.get(unit, Decimal(1))
        return abs(value - wanted) <= abs(wanted) * READ_TO
    return str(value) == stated


MANIFEST_VALUES: dict[str, tuple[str, Callable[[DoseReport], object]]] = {
    "total_dap_gym2": ("Gy.m2", lambda r: total(r, "kap")),
    "total_dose_rp_gy": ("Gy", lambda r: total(r, "ka_r")),
    "total_fluoro_time_s": ("s", lambda r: total(r, "fluoro_time")),
    "total_acq_time_s": ("s", lambda r: total(r, "acquisition_time")),
    "fluoro_dap_gym2": ("Gy.m2", lambda r: total(r, "kap_fluoro")),
    "acq_dap_gym2": ("Gy.m2", lambda r: total(r, "kap_acquisition")),
    "sum_event_dap_gym2": ("Gy.m2", lambda r: event_sum(r, "kap_gy_cm2")),
    "sum_event_dose_rp_gy": ("Gy", lambda r: event_sum(r, "ka_r_mgy")),
    "ct_total_dlp_mgycm": ("mGy.cm", lambda r: total(r, "dlp")),
    "template_id": ("", lambda r: r.template_id),
    "sop_class": ("", lambda r: r.sop_class_uid),
}
MODALITY = {"CT": "ct", "RF": "projection", "DX": "projection", "MG": "projection"}


@pytest.mark.parametrize("entry", MANIFEST, ids=lambda e: e["file"])
def test_manifest(entry: dict[str, str]) -> None:
    found = outcome(entry["file"])
    if entry["kind"].startswith("negative"):
        assert isinstance(found, Refused)
        assert found.status == "not_dose"
        return
    assert isinstance(found, DoseReport)
    assert found.modality == MODALITY[entry["modality"]]
    assert len(found.events) == int(entry["n_events"] or entry["ct_n_events"])
    assert found.study_date == date.fromisoformat(entry["study_date"])
    for column, (unit, value) in MANIFEST_VALUES.items():
        assert meets(value(found), entry[column], unit), (column, value(found), entry[column])


def test_the_twelve_fluoroscopy_files_are_there() -> None:
    assert sum(entry["modality"] == "RF" for entry in MANIFEST) == 12


def test_another_reader_stored_the_same() -> None:
    for entry in rows("openrem_stored.csv"):
        found = report(entry["file"])
        assert len(found.events) == int(entry["n_events"])
        assert meets(total(found, "kap"), entry["total_dap_gym2"], "Gy.m2")
        assert meets(total(found, "ka_r"), entry["plane_a_dose_rp_gy"], "Gy")


# ---- expected.csv: what the sources' own tests assert

STATED: dict[str, Callable[[DoseReport], object]] = {
    "total_dap": lambda r: total(r, "kap"),
    "total_dose_rp": lambda r: total(r, "ka_r"),
    "fluoro_dap": lambda r: total(r, "kap_fluoro"),
    "fluoro_dose_rp": lambda r: total(r, "ka_r_fluoro"),
    "fluoro_time": lambda r: total(r, "fluoro_time"),
    "acq_dap": lambda r: total(r, "kap_acquisition"),
    "acq_dose_rp": lambda r: total(r, "ka_r_acquisition"),
    "acq_time": lambda r: total(r, "acquisition_time"),
    "total_dlp": lambda r: total(r, "dlp"),
    "agd_left": lambda r: total(r, "agd_left"),
    "agd_right": lambda r: total(r, "agd_right"),
    "n_events": lambda r: len(r.events),
    "n_planes": lambda r: len({e.plane for e in r.events}),
    "patient_id": lambda r: r.patient.patient_id,
    "accession_number": lambda r: r.accession_number,
    "stationary_acquisition_dap": lambda r: sum(
        e.kap_gy_cm2 for e in r.events if e.event_type == "stationary_acquisition" and e.kap_gy_cm2 is not None
    ),
}
OF_EVENT: dict[str, Callable[[IrradiationEvent], object]] = {
    "dap": lambda e: e.kap_gy_cm2,
    "dose_rp": lambda e: e.ka_r_mgy,
    "collimated_field_area": lambda e: e.collimated_field_area_cm2,
    "average_tube_current": lambda e: e.tube_current_ma,
    "mean_ctdivol": lambda e: e.ctdi_vol_mgy,
    "uid": lambda e: e.event_uid,
    "start": lambda e: e.started_local and e.started_local.isoformat(),
    "filter": lambda e: e.copper_filter_mm and f"Cu {e.copper_filter_mm:.4f}",
}
NOT_READ = {  # pattern of the quantity -> why
    r"event_\d+_(patient_.*|ii_field_size|collimated_field_(height|width))": "geometry that no table uses",
    r"event_\d+_(grid|reference_point_definition)": "geometry that no table uses",
    r"(dap|dose_rp)_over_previous_.*|n_studies_.*|events_in_study_after.*|modality": "decided over reports, in dbt",
    r"n_spiral|n_constant_angle": "the kind of CT acquisition is in no table",
    r"event_\d+_(accumulated_.*_forward_estimate|.*_alert_value)|alert_person": "CT dose check is in no table",
    r"performing_physician_name|institution|device_observer_uid": "people and places are not taken from dose reports",
    r"must_not_import|patient_age|event_1_filters": "tested by itself",
}


def value_of(found: DoseReport, quantity: str) -> object:
    if quantity in STATED:
        return STATED[quantity](found)
    numbered = re.fullmatch(r"event_(\d+)_(\w+)", quantity)
    if numbered:
        return OF_EVENT[numbered[2]](found.events[int(numbered[1]) - 1])
    at, name = re.fullmatch(r"event_at_(\S+)_(\w+)", quantity).groups()
    (event,) = [e for e in found.events if e.started_local == datetime.fromisoformat(at)]
    return OF_EVENT[name](event)


def why_not_read(quantity: str) -> str | None:
    return next((why for pattern, why in NOT_READ.items() if re.fullmatch(pattern, quantity)), None)


@pytest.mark.parametrize(
    "row", [r for r in EXPECTED if why_not_read(r["quantity"]) is None], ids=lambda r: f"{r['file']}-{r['quantity']}"
)
def test_expected(row: dict[str, str]) -> None:
    value = value_of(report(row["file"]), row["quantity"])
    assert meets(value, row["value"], row["unit"]), value


def test_most_of_expected_is_read() -> None:
    assert sum(why_not_read(r["quantity"]) is None for r in EXPECTED) >= 65


def test_ages_are_completed_years() -> None:
    for row in EXPECTED:
        if row["quantity"] == "patient_age":
            assert report(row["file"]).patient_age_years == int(Decimal(row["value"]))


def test_the_exported_filter_is_that_of_the_first_acquisition() -> None:
    """The source's export lists acquisitions before fluoroscopy: its event 1 is the second of the document."""
    first, second, _ = report("RF-RDSR-Philips_Allura.dcm").events
    assert (first.event_type, first.copper_filter_mm) == ("fluoroscopy", Decimal("0.4"))
    assert (second.event_type, second.copper_filter_mm) == ("stationary_acquisition", Decimal("0.1"))


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
            everything = repr(replace(found, patient=None, manufacturer=None, model=None))  # makers' words
            for name in found.patient.names:
                assert not [p for p in re.split(r"[\^= ]+", name) if len(p) >= 6 and p in everything], entry["file"]


def test_the_conformance_page_is_up_to_date() -> None:
    assert (CHECKOUT / "docs/conformance.md").read_text(encoding="utf-8") == conformance_table()
