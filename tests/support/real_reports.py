"""The real dose reports beside the checkout (../shared/real_rdsr), each read once, with what is expected of them.

Only for tests and for the conformance page: the files are not ours and are never copied.
"""

from __future__ import annotations

import csv
from functools import cache

from ingest.dose_reports import read_dose_report
from ingest.records import DoseReport, Refused
from support import paths

CHECKOUT = paths.ROOT
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
