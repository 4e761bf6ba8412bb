"""The real dose reports that are there (tests/test_data/README.md), each read once, with what is expected of them."""

from __future__ import annotations

import csv
from functools import cache

from ingest.dose_reports import read_dose_report
from ingest.records import DoseReport, Refused
from support import paths

CHECKOUT = paths.ROOT
FOLDER = paths.REAL_REPORTS
WHY_MISSING = "there are no real dose reports; `make test-data` fetches them"


def rows(name: str) -> list[dict[str, str]]:
    """The rows of one of the tables in tests/test_data."""
    with (paths.TEST_DATA / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def present(name: str) -> list[dict[str, str]]:
    """The rows of one of the tables whose report is there."""
    return [row for row in rows(name) if (FOLDER / row["file"]).exists()]


@cache
def outcome(file: str) -> DoseReport | Refused:
    """What reading one of the files gave."""
    try:
        return read_dose_report((FOLDER / file).read_bytes())
    except Refused as refused:
        return refused
