"""The test hospitals' exports against their truth: status of every file, and every sum to the ninth digit."""

from __future__ import annotations

import csv
from collections import defaultdict
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from support import paths
from support.exports import Said, read_whole

from ingest.dosimeters.description import load_description
from ingest.records import Refused

SHARED = paths.SHARED
MADRID = ZoneInfo("Europe/Madrid")
Totals = dict[tuple[str, str, str, str], Decimal]


@pytest.fixture(params=["hospital_tiny", "hospital_clean"])
def hospital(request: pytest.FixtureRequest) -> str:
    if not (SHARED / request.param).is_dir():
        pytest.skip(f"{request.param} is not beside the checkout")
    return str(request.param)


def truth(hospital: str, table: str) -> list[dict[str, str]]:
    with (SHARED / f"{hospital}_truth" / f"truth_{table}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def read(hospital: str, path: str, source_id: str) -> Said:
    return read_whole(SHARED / hospital / path, load_description(SHARED / hospital / "sources" / f"{source_id}.yaml"))


def test_every_file_reads_as_the_truth_says(hospital: str) -> None:
    files = [file for file in truth(hospital, "file") if file["kind"] == "dosimeter"]
    assert files
    for file in files:
        if file["expected_status"] == "quarantined":
            with pytest.raises(Refused, match="does not fit"):
                read(hospital, file["path"], file["source_id"])
            continue
        rows, rejected, findings = read(hospital, file["path"], file["source_id"])
        assert len(rejected) == int(file["rows_rejected"]), file["path"]
        assert rows
        assert findings == []


def ingested(hospital: str) -> Totals:
    """Sums by source, badge, quantity and local date; of what overlaps, the later file counts (byte order of paths)."""
    newest: dict[tuple[str, str, str, object], Decimal] = {}
    for file in sorted(truth(hospital, "file"), key=lambda row: row["path"].encode()):
        if file["kind"] == "dosimeter" and file["expected_status"] == "loaded":
            for row in read(hospital, file["path"], file["source_id"])[0]:
                if row.value_usv is not None:
                    newest[file["source_id"], row.dosimeter_serial, row.quantity, row.started_at] = row.value_usv
    totals: Totals = defaultdict(Decimal)
    for (source_id, badge, quantity, at), value in newest.items():
        totals[source_id, badge, quantity, at.astimezone(MADRID).date().isoformat()] += value  # type: ignore[attr-defined]
    return totals


def test_sums_agree_to_the_ninth_digit(hospital: str) -> None:
    sources = ("cath_rates", "ir_rates", "cath_sessions", "cath_hours")  # counters are steps, and those are dbt's
    expected = {
        (row["source_id"], row["dosimeter_serial"], row["quantity"], row["measured_date"]): Decimal(row["ingested_usv"])
        for row in truth(hospital, "total")
        if row["source_id"] in sources
    }
    assert expected
    found = {key: total for key, total in ingested(hospital).items() if key[0] in sources}
    assert {key: total for key, total in found.items() if total} == {key: t for key, t in expected.items() if t}
