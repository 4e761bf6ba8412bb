"""Two untidy synthetic hospitals from files to score: one department's clocks an hour off, and exports without hubs.

The goals are the issue's; what a plain time-window join reaches shows that they are not given away.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest
from support.small_site import deserved
from typer.testing import CliRunner

from ingest.site.config import load_site
from orchestration.cli import app
from orchestration.console.score import Score, score_site
from orchestration.nightly import run_nightly
from synthetic_hospital import HospitalSummary, write_hospital


@dataclass(frozen=True)
class Night:
    """One hospital after its night."""

    hospital: HospitalSummary
    warehouse: Path
    score: Score


def a_night(folder: Path, seed: int, *, names_hubs: bool = True, clock_fault_s: float = 0.0) -> Iterator[Night]:
    hospital = write_hospital(folder / "site", "tiny-paper", seed, names_hubs=names_hubs, clock_fault_s=clock_fault_s)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("DOSELEDGER_KEY", "a key of the tests, long enough")
        result = run_nightly(hospital.site, hospital.last_day, lambda *_: None)
        assert result.outcome == "published", result.reasons
        assert result.folder
        yield Night(hospital, result.folder / "warehouse.duckdb", score_site(hospital.site, hospital.truth))


@pytest.fixture(scope="module")
def hour_off(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    yield from a_night(tmp_path_factory.mktemp("hour_off"), 2, clock_fault_s=3600.0)


@pytest.fixture(scope="module")
def hubless(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    yield from a_night(tmp_path_factory.mktemp("hubless"), 3, names_hubs=False)


def truth_of(night: Night, name: str) -> list[dict[str, str]]:
    with (night.hospital.truth / f"truth_{name}.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def published(night: Night, query: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(night.warehouse), read_only=True) as con:
        return con.execute(query).fetchall()


def share(value: float | None) -> float:
    assert value is not None
    return value


def test_dose_is_where_it_happened_with_clocks_an_hour_off(hour_off: Night) -> None:
    ours, plain = hour_off.score.published, hour_off.score.plain_join
    assert share(ours.right_share) >= 0.995
    assert share(ours.wrong_share) <= 0.001
    assert share(ours.right_event_share) >= 0.97
    assert share(ours.offset_error.p95_s) <= 2
    assert share(ours.row_precision) >= 0.99
    assert share(ours.row_recall) >= 0.98
    assert share(plain.right_share) < 0.8
    assert share(plain.right_event_share) < 0.5


def test_dose_is_where_it_happened_without_hubs(hubless: Night) -> None:
    ours = hubless.score.published
    assert share(ours.right_share) >= 0.98
    assert share(ours.wrong_share) <= 0.005


def test_every_microsievert_is_accounted_for(hour_off: Night, hubless: Night) -> None:
    for night in (hour_off, hubless):
        assert night.score.imbalance_usv == 0
        assert night.score.ledger_rows_wrong == 0


def test_every_untidy_file_has_the_status_that_it_deserves(hour_off: Night) -> None:
    found = {row[0]: row[1:] for row in published(hour_off, "select load_seq, status, rows_rejected from ledger.file")}
    with duckdb.connect(
        load_site(hour_off.hospital.site).build_db, read_only=True
    ) as con:  # refused paths are published hashed
        load_seqs = dict(con.execute("select path, load_seq from raw.file").fetchall())
    for true in truth_of(hour_off, "file"):
        status, rejected = found[load_seqs[true["path"]]]
        assert status in deserved(true["path"], true["expected_status"]), true["path"]
        assert str(rejected) == true["rows_rejected"], true["path"]


def test_every_report_counts_as_the_contract_says(hour_off: Night) -> None:
    """Resent, cumulative, continued, without totals, corrected; four makers, two planes, a device in UTC."""
    names = ("room_id", "procedure_type", "irradiation_events", "kap_gy_cm2", "ka_r_mgy", "fluoro_time_s")
    found: dict[str, tuple[Any, ...]] = {
        str(row[0]): row[1:]
        for row in published(hour_off, f"select study_instance_uid, {', '.join(names)} from marts.fct_procedure")
    }
    expected = {row["study_instance_uid"]: row for row in truth_of(hour_off, "procedure")}
    assert found.keys() == {uid for uid, row in expected.items() if row["expected_present"] == "1"}
    for uid, (room, procedure_type, n_events, *totals) in found.items():
        true = expected[uid]
        assert (room, procedure_type, str(n_events)) == (true["room_id"], true["procedure_type"], true["n_events"])
        # The device rounds what it states to six digits.
        assert totals == [pytest.approx(float(true[name]), rel=1e-5) for name in names[3:]], true["conditions"]


def test_a_badge_in_the_drawer_is_missing_or_zero_as_its_records_say(hour_off: Night) -> None:
    found = {
        row[:2]: row[2]
        for row in published(
            hour_off,
            "select study_instance_uid, operator_id, badge_status "
            "from marts.fct_operator_procedure join marts.fct_procedure using (procedure_id)",
        )
    }
    statuses = set()
    for true in truth_of(hour_off, "operator_procedure"):
        if true["expected_present"] == "1" and true["badge_worn"] == "0":
            status = found[true["study_instance_uid"], true["operator_id"]]
            statuses.add(status)
            assert status in true["badge_status"].split("|"), true
    assert "missing" in statuses


def test_the_command_prints_the_score_and_writes_it(
    hour_off: Night, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOSELEDGER_KEY", "a key of the tests, long enough")
    site, truth = str(hour_off.hospital.site), str(hour_off.hospital.truth)
    result = CliRunner().invoke(app, ["score", "--site", site, "--truth", truth, "--json", str(tmp_path / "s.json")])
    assert result.exit_code == 0, result.output
    assert "plain join" in result.output
    written = json.loads((tmp_path / "s.json").read_text(encoding="utf-8"))
    assert written["published"]["right_share"] == hour_off.score.published.right_share
    assert written["imbalance_usv"] == 0
