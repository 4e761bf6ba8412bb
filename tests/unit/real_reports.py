"""The real dose reports beside the checkout (../shared/real_rdsr), each read once, with what is expected of them.

Only for tests and for the conformance table: the files are not ours and are never copied.
"""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

from ingest.dose_reports import read_dose_report
from ingest.records import DoseReport, Refused

CHECKOUT = Path(__file__).resolve().parents[2]
FOLDER = CHECKOUT / "../shared/real_rdsr"
WHY_MISSING = "../shared/real_rdsr is not beside this checkout"


def rows(name: str) -> list[dict[str, str]]:
    """The rows of one of the folder's tables; none if the folder is missing."""
    path = FOLDER / name
    return list(csv.DictReader(path.open(encoding="utf-8", newline=""))) if path.exists() else []


@cache
def outcome(file: str) -> DoseReport | Refused:
    """What reading one of the files gave."""
    try:
        return read_dose_report((FOLDER / file).read_bytes())
    except Refused as refused:
        return refused


def conformance_table() -> str:
    """The page docs/conformance.md: what is read of each real file."""
    lines = [_row(entry, outcome(entry["file"])) for entry in rows("manifest.csv")]
    return _PAGE.format(rows="\n".join(lines))


def _row(entry: dict[str, str], found: DoseReport | Refused) -> str:
    device = f"| {entry['vendor'] or '—'} | {entry['model'] or '—'} | `{entry['file']}` "
    if isinstance(found, Refused):
        return f"{device}| — | {found.status}: {found.reason} | — |"
    totals = ", ".join(f"{t.quantity} {t.value.normalize():f}" for t in found.totals)
    oddities = "; ".join(f"{f.code}: {f.message}" for f in found.findings) or "—"
    return f"{device}| {found.modality}, {len(found.events)} events; {totals} | — | {oddities} |"


_PAGE = """# Conformance: real dose reports

Made by `python tests/unit/real_reports.py` from the real reports of the test data, one row per file; a test fails when
this page is out of date. Totals are as one report states them: KAP in Gy·cm², Ka,r and breast dose in mGy, DLP in
mGy·cm, times in s. Several reports of one study are put together later, by the contract's rule *Totals*.

| vendor | model | file | read | refused | findings |
|---|---|---|---|---|---|
{rows}

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

## Not read, and said so

| what | what happens |
|---|---|
| Enhanced X-ray dose report (88.76) | `quarantined`, named |
| private dose report (99SMS_RADSUM) | `quarantined`, named |
| radiopharmaceutical and patient dose reports, other reports, images | `not_dose`, named |
| unknown or unfitting unit, no number, several values, impossible value | that value is missing, with a finding |
| dual-source CT: kV and mA of two tubes | missing, with a finding; dose is read |
"""


if __name__ == "__main__":
    (CHECKOUT / "docs/conformance.md").write_text(conformance_table(), encoding="utf-8")
