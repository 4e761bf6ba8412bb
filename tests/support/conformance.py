"""What real dose reports say, beside what independent readings of them state: the page docs/physicist/conformance.md.

Made by running this file; tests compare the page with what is read. Only comparing and writing are here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from ingest.records import DoseReport, Filter, IrradiationEvent, Refused
from support.real_reports import CHECKOUT, outcome, present

PAGE = CHECKOUT / "docs/physicist/conformance.md"
TO_CANONICAL = {"Gy.m2": Decimal(10_000), "Gy": Decimal(1000), "m2": Decimal(10_000)}
READ_TO = Decimal("1e-6")  # relative: the tables give seven digits or more


class Check(NamedTuple):
    """One value that somebody else states of a file, and what is read: or why it is not."""

    file: str
    quantity: str
    stated: str
    unit: str
    read: object
    why_not: str | None

    @property
    def is_met(self) -> bool:
        """Equal, numbers to six digits after the stated unit is made ours; an empty text means None."""
        if self.read is None or self.stated == "":
            return self.read is None and self.stated == ""
        if self.quantity == "patient_age":  # completed years
            return self.read == int(Decimal(self.stated))
        if isinstance(self.read, int | Decimal):
            wanted = Decimal(self.stated) * TO_CANONICAL.get(self.unit, Decimal(1))
            return abs(self.read - wanted) <= abs(wanted) * READ_TO
        return str(self.read) == self.stated


# ---- what is read, by the names of the two tables


def total(found: DoseReport, quantity: str) -> Decimal | None:
    """Over planes, as the manifest counts them."""
    values = [t.value for t in found.totals if t.quantity == quantity]
    return sum(values, Decimal(0)) if values else None


def event_sum(found: DoseReport, column: str) -> Decimal | None:
    """Over events that state it."""
    values = [v for e in found.events if (v := getattr(e, column)) is not None]
    return sum(values, Decimal(0)) if values else None


def _filter(of: Filter) -> str:
    symbol = {"copper": "Cu", "aluminium": "Al"}[of["material"] or ""]
    return f"{symbol} {of['maximum_mm'] or of['minimum_mm']:.4f}"


def _exported(found: DoseReport) -> list[IrradiationEvent]:
    """The order in which the source's export lists events: acquisitions before fluoroscopy."""
    return sorted(found.events, key=lambda e: e.event_type == "fluoroscopy")


def _acquisitions(found: DoseReport, kind: str) -> int:
    return sum(e.ct_acquisition_type == kind for e in found.events)


Reader = Callable[[DoseReport], object]

MANIFEST_VALUES: dict[str, tuple[str, Reader]] = {
    "sop_class": ("", lambda r: r.sop_class_uid),
    "template_id": ("", lambda r: r.template_id),
    "study_date": ("", lambda r: f"{r.study_date:%Y%m%d}"),
    "n_events": ("1", lambda r: len(r.events) if r.modality == "projection" else None),
    "total_dap_gym2": ("Gy.m2", lambda r: total(r, "kap")),
    "total_dose_rp_gy": ("Gy", lambda r: total(r, "ka_r")),
    "total_fluoro_time_s": ("s", lambda r: total(r, "fluoro_time")),
    "total_acq_time_s": ("s", lambda r: total(r, "acquisition_time")),
    "fluoro_dap_gym2": ("Gy.m2", lambda r: total(r, "kap_fluoro")),
    "acq_dap_gym2": ("Gy.m2", lambda r: total(r, "kap_acquisition")),
    "sum_event_dap_gym2": ("Gy.m2", lambda r: event_sum(r, "kap_gy_cm2")),
    "sum_event_dose_rp_gy": ("Gy", lambda r: event_sum(r, "ka_r_mgy")),
    "ct_n_events": ("1", lambda r: len(r.events) if r.modality == "ct" else None),
    "ct_total_dlp_mgycm": ("mGy.cm", lambda r: total(r, "dlp")),
}
OF_REPORT: dict[str, Reader] = {
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
    "n_spiral": lambda r: _acquisitions(r, "spiral"),
    "n_constant_angle": lambda r: _acquisitions(r, "constant_angle"),
    "patient_id": lambda r: r.patient.patient_id,
    "patient_age": lambda r: r.patient_age_years,
    "accession_number": lambda r: r.accession_number,
    "stationary_acquisition_dap": lambda r: sum(
        e.kap_gy_cm2 for e in r.events if e.event_type == "stationary_acquisition" and e.kap_gy_cm2 is not None
    ),
    "event_1_filters": lambda r: " | ".join(_filter(f) for f in _exported(r)[0].filters),
}
OF_EVENT: dict[str, Callable[[IrradiationEvent], object]] = {
    "dap": lambda e: e.kap_gy_cm2,
    "dose_rp": lambda e: e.ka_r_mgy,
    "collimated_field_area": lambda e: e.collimated_field_area_cm2,
    "average_tube_current": lambda e: e.tube_current_ma,
    "mean_ctdivol": lambda e: e.ctdi_vol_mgy,
    "accumulated_dlp_forward_estimate": lambda e: e.dlp_forward_estimate_mgy_cm,
    "accumulated_ctdivol_forward_estimate": lambda e: e.ctdi_vol_forward_estimate_mgy,
    "dlp_alert_value": lambda e: e.dlp_alert_value_mgy_cm,
    "ctdivol_alert_value": lambda e: e.ctdi_vol_alert_value_mgy,
    "uid": lambda e: e.event_uid,
    "start": lambda e: e.started_local and e.started_local.isoformat(),
    "filter": lambda e: " | ".join(map(_filter, e.filters)),
    "reference_point_definition": lambda e: {"30cm_in_front_of_image_input_surface": "113861"}[e.reference_point or ""],
}
WHY_NOT = {  # pattern of the quantity -> why it is not read from the file
    r"event_\d+_(ii_field_size|patient_.*)": "stands in a comment of the maker's own form only",
    r"event_\d+_collimated_field_(height|width)": "stands in private items (99PHI-IXR-XPER) only",
    r"event_\d+_grid": "the grid is in no table",
    r"alert_person|performing_physician_name|institution": "people and places are not taken from dose reports",
    r"device_observer_uid": "rooms are known by serial number, station, AE title and location",
    r"must_not_import": "refused, as it should be",
    r"modality": "decided over all reports of a study; met by the published table",
    r"n_studies_after.*|events_in_study_after.*": "decided over all reports of a study; met by the published table",
    r"(dap|dose_rp)_over_previous_2_weeks": "a sum over studies; all events of this copy belong to another one",
    r"(dap|dose_rp)_over_previous_2_weeks_with_adjusted_loaded": "counts the events of a copy a second time",
}


def manifest_checks() -> Iterator[Check]:
    """Each value that the manifest states of a dose report."""
    for entry in present("manifest.csv"):
        found = outcome(entry["file"])
        if isinstance(found, DoseReport):
            for column, (unit, read) in MANIFEST_VALUES.items():
                yield Check(entry["file"], column, entry[column], unit, read(found), None)


def asserted_checks() -> Iterator[Check]:
    """Each value that the tests of the files' sources assert."""
    for row in present("expected.csv"):
        found = outcome(row["file"])
        why_not = next((why for pattern, why in WHY_NOT.items() if re.fullmatch(pattern, row["quantity"])), None)
        read = _value(found, row["quantity"]) if why_not is None and isinstance(found, DoseReport) else None
        yield Check(row["file"], row["quantity"], row["value"], row["unit"], read, why_not)


def _value(found: DoseReport, quantity: str) -> object:
    if quantity in OF_REPORT:
        return OF_REPORT[quantity](found)
    numbered = re.fullmatch(r"event_(\d+)_(\w+)", quantity)
    if numbered:
        number, name = int(numbered[1]), numbered[2]
        ordered = (
            _exported(found) if name.startswith("collimated") and "Allura" in (found.model or "") else found.events
        )
        return OF_EVENT[name](ordered[number - 1])
    timed = re.fullmatch(r"event_at_(\S+)_(\w+)", quantity)
    assert timed is not None, quantity
    (event,) = [e for e in found.events if e.started_local == datetime.fromisoformat(timed[1])]
    return OF_EVENT[timed[2]](event)


# ---- the page


def page() -> str:
    """docs/physicist/conformance.md."""
    manifest = list(manifest_checks())
    return _PAGE.format(
        files="\n".join(_file_row(entry, outcome(entry["file"])) for entry in present("manifest.csv")),
        n_manifest=len(manifest),
        n_met=sum(check.is_met for check in manifest),
        asserted="\n".join(_asserted_row(check) for check in asserted_checks()),
    )


def _file_row(entry: dict[str, str], found: DoseReport | Refused) -> str:
    device = f"| {entry['vendor'] or '—'} | {entry['model'] or '—'} | `{entry['file']}` "
    if isinstance(found, Refused):
        return f"{device}| — | {found.status}: {found.reason} | — |"
    totals = ", ".join(f"{t.quantity} {t.value.normalize():f}" for t in found.totals)
    oddities = "; ".join(f"{f.code}: {f.message}" for f in found.findings) or "—"
    return f"{device}| {found.modality}, {len(found.events)} events; {totals} | — | {oddities} |"


def _asserted_row(check: Check) -> str:
    # Of people and identifiers only that they are met: the files are not ours.
    stated = "…" if check.unit in {"text", "UID"} else f"{check.stated} {check.unit.replace('1', '', 1)}".strip()
    return (
        f"| `{check.file}` | {check.quantity} | {stated} | {check.why_not or ('met' if check.is_met else 'NOT MET')} |"
    )


_PAGE = """# Conformance: real dose reports

Made by `python -m support.conformance` in `tests/` from the real reports of the test data, one row per file; a test
fails when this page is out of date. Totals are as one report states them: KAP in Gy·cm², Ka,r and breast dose in mGy,
DLP in mGy·cm, times in s. Several reports of one study are put together later, by the contract's rule *Totals*.

| vendor | model | file | read | refused | findings |
|---|---|---|---|---|---|
{files}

Of {n_manifest} values that an independent reading of these files states (counts, totals, sums over events, dates,
templates, or that there is none) {n_met} are met.

## What the tests of the files' sources assert

| file | quantity | stated | met, or why not |
|---|---|---|---|
{asserted}

## Spellings seen

| what | standard | also read | where |
|---|---|---|---|
| dose area product | `Gy.m2` | `Gym2` | Siemens |
| | | `dGy.cm2` | Canon |
| dose length product | `mGy.cm` | `mGycm` | Siemens, GE, Spectrum Dynamics |
| pulse rate | `{{pulse}}/s` | `pulse/s` | GE |
| scheme of units | `UCUM` | `UCM` | GE |
| scheme of SNOMED RT codes | `SRT` | `SNM3`, `99SDM` | Carestream |
| exposure time | 113824 | 113735 (retired) | Siemens, Philips |
| event UID | 113769 | 113853 (retired) | — |
| offset from UTC (0008,0201) | `-0400` | `UTC-04:00` | GE |

Units are also known without dots, with either micro sign, with superscripts and with any annotation in braces.

## Not read, and said so

| what | what happens |
|---|---|
| private dose report (99SMS_RADSUM, or a private title that names dose) | `quarantined`, named |
| radiopharmaceutical and patient dose reports, other reports, images, text, documents | `not_dose`, named |
| a bare data set: no preamble, or no header at all (little endian) | read |
| header and data set name different classes | the data set counts; a dose report by its header only is `quarantined` |
| an empty file, an archive, bytes that are not recognised | `quarantined`: it may be a dose report |
| unknown or unfitting unit, no number, several values, impossible value | that value is missing, with a finding |
| dual-source CT: kV and mA of two tubes | missing, with a finding; dose is read |
| enhanced report (88.76): source names that tell no plane | totals and Ka,r are missing, with a finding; events load |
| enhanced report (88.76): kV or mA that changes during an event | missing, with a finding |
"""


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
