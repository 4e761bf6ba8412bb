"""Readers whose clocks are ten minutes off: sessions and counter steps still find the procedures of their wearers."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from support import paths

from orchestration.nightly import run_nightly

FAULTS_S = {"cath_sessions": 600.0, "ir_counters": -600.0}
TOLERANCE_S = 60.0
HOSPITAL = paths.SHARED / "hospital_clean"
TRUTH = paths.SHARED / "hospital_clean_truth"

pytestmark = pytest.mark.skipif(not HOSPITAL.exists(), reason="the shared test hospitals are not here")


def set_clock_wrong(site: Path, source_id: str, fault_s: float) -> int:
    """Move the times of all exports of a source; return how many rows were moved."""
    described: dict[str, Any] = yaml.safe_load((site / "sources" / f"{source_id}.yaml").read_text("utf-8"))
    names = [described["columns"][name] for name in ("started_at", "ended_at") if name in described["columns"]]
    moved = 0
    for file in sorted((site / "inbox/dosimeters" / source_id).iterdir()):
        lines = file.read_bytes().decode(described["encoding"]).splitlines()
        head = described["skip_rows"]
        rows = list(csv.reader(lines[head:], delimiter=described["delimiter"]))
        for row in rows[1:]:
            for name in names:
                parts = [rows[0].index(part) for part in ([name] if isinstance(name, str) else name)]
                was = datetime.strptime(" ".join(row[i] for i in parts), described["datetime_format"])  # noqa: DTZ007
                text = (was + timedelta(seconds=fault_s)).strftime(described["datetime_format"])
                for i, part in zip(parts, text.split(" ") if parts[1:] else [text], strict=True):
                    row[i] = part
            moved += 1
        written = io.StringIO()
        csv.writer(written, delimiter=described["delimiter"], lineterminator="\n").writerows(rows)
        file.write_bytes("\n".join([*lines[:head], written.getvalue()]).encode(described["encoding"]))
    return moved


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    site = tmp_path_factory.mktemp("readers") / "site"
    shutil.copytree(HOSPITAL, site)
    for source_id, fault_s in FAULTS_S.items():
        assert set_clock_wrong(site, source_id, fault_s) > 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOSELEDGER_KEY", "a key of the tests, long enough")
        result = run_nightly(site, date(2024, 12, 31), lambda *_: None)
    assert result.folder is not None
    with duckdb.connect(result.folder / "warehouse.duckdb", read_only=True) as con:
        yield con


def test_each_readers_clock_is_found(published: duckdb.DuckDBPyConnection) -> None:
    found = published.execute(
        "select source_id, method, room_id, offset_s, likelihood_ratio, is_accepted from ledger.reader_clock"
    ).fetchall()

    assert {row[0] for row in found} == set(FAULTS_S)
    for source_id, method, room_id, offset_s, ratio, is_accepted in found:
        assert room_id is None
        assert abs(offset_s - FAULTS_S[source_id]) < TOLERANCE_S
        if is_accepted:
            assert method == "wearers"
            assert ratio >= 100
    assert sum(row[5] for row in found) > 10


@pytest.mark.parametrize("kind", ["session", "counter"])
def test_rows_are_as_right_as_with_right_clocks(published: duckdb.DuckDBPyConnection, kind: str) -> None:
    doses = {
        (study, operator_id): dose
        for study, operator_id, dose in published.execute(
            "select study_instance_uid, operator_id, hp10_usv from marts.fct_operator_procedure"
            " join marts.fct_procedure using (procedure_id)"
        ).fetchall()
    }
    with (TRUTH / "truth_operator_procedure.csv").open(encoding="utf-8", newline="") as file:
        expected = [
            row
            for row in csv.DictReader(file)
            if row["source_kind"] == kind and row["is_decided"] == "1" and row["hp10_usv"]
        ]
    right = [
        row
        for row in expected
        if doses.get((row["study_instance_uid"], row["operator_id"])) == pytest.approx(float(row["hp10_usv"]), abs=1e-6)
    ]

    assert len(expected) >= 9
    assert len(right) >= 0.9 * len(expected)


def test_links_by_a_known_reader_are_certain(published: duckdb.DuckDBPyConnection) -> None:
    confidences = published.execute(
        "select distinct link_confidence from marts.fct_operator_procedure"
        " where link_method = 'session' and hp10_usv > 0"
    ).fetchall()

    assert confidences == [("high",)]
