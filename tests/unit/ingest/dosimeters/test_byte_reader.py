"""Exports with random damage, counted by a second reader: what is stated is what it counts, and nothing is lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from support.byte_reader import statements
from support.damaged_exports import Damage, damaged, damages, stated_and_kept
from support.exports import keys

from ingest.dosimeters.description import SourceDescription

HOURS = {"dosimeter_serial": "badge", "started_at": "at", "hp10": "dose", "hp007": "skin"}
PERIODS = {"dosimeter_serial": "badge", "period_begin": "from", "period_end": "to", "hp10": "dose", "hp3": "eye"}
STUDIES = {"dosimeter_serial": "badge", "accession_number": "acc", "hp10": "dose"}
RATES = {"dosimeter_serial": "badge", "started_at": ["day", "time"], "hp10": "dose", "hub": "hub"}
SESSIONS = {"dosimeter_serial": "badge", "started_at": "at", "ended_at": "end", "hp10": "dose", "peak_rate": "peak"}

SOURCES: dict[str, dict[str, Any]] = {
    "hours": keys(columns=HOURS, units={"hp10": "uSv", "hp007": "mSv"}, decimal=",", thousands=".", skip_rows=2),
    "rates": keys("rate_samples", columns=RATES, delimiter="\t", sample_seconds=2, encoding="utf-16"),
    "counter": keys("counter_log", encoding="cp1251", footer_pattern="^(Total|Сумма)"),
    "periods": keys("badge_periods", columns=PERIODS, units={"hp10": "mSv", "hp3": "mrem"}, encoding="utf-8-sig"),
    "studies": keys("procedure_totals", columns=STUDIES, thousands="'", ignored_columns=["name"]),
    "sessions": keys(
        "sessions",
        columns=SESSIONS,
        units={"peak_rate": "mSv/h"},
        unit_column={"hp10": "unit"},
        encoding="cp1252",
    ),
}
TEXTS = {
    "hours": "Hospital\n\nbadge;at;dose;skin\nB1;2024-03-05T09:00;1.250,5;0,02\nB1;2024-03-05T10:00;M;-\nB2;x;3;\n",
    "rates": "badge\tday\ttime\tdose\thub\nB1\t2024-03-05\t09:00:00\t1.5\tH\nB1\t2024-03-05\t09:00:02\t2.25\tH\n",
    "counter": "badge;at;dose\r\nB1;2024-03-05T09:00;12.5\r\nB1;2024-03-05T10:00;13\r\nСумма;;25.5\r\n",
    "periods": "badge;from;to;dose;eye\nB1;2024-03-01;2024-03-31;0.12;Unused\nB1;2024-04-01;2024-04-30;M;7\n",
    "studies": 'badge;acc;dose;name\nB1;A1;1\'250.5;é\nB2;A2;3;"a;b"\n\nB2;;4;z\n',
    "sessions": "badge;at;end;dose;unit;peak\n"
    "B1;2024-03-05T09:00;2024-03-05T10:00;950;µSv;1\nB2;2024-03-05T09:00;2024-03-05T10:00;1.05;mSv;2\n"
    "B2;2024-03-05T12:00;2024-03-05T11:00;7;Sv;3\n",
}


def content(name: str) -> bytes:
    return TEXTS[name].encode(SOURCES[name]["encoding"])


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("piece", [7, 1 << 20])
def test_an_export_states_what_a_second_reader_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, piece: int
) -> None:
    monkeypatch.setattr("ingest.dosimeters.lines.PIECE_CHARS", piece)
    path = tmp_path / "export.csv"
    path.write_bytes(content(name))
    stated, kept = stated_and_kept(path, SourceDescription.model_validate(SOURCES[name])) or ({}, {})
    [counted] = statements(content(name), SOURCES[name]) or [{}]
    assert stated == kept == counted != {}


@pytest.mark.parametrize("name", SOURCES)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(damage=damages, kept=st.one_of(st.just(1.0), st.floats(0, 1)), piece=st.sampled_from([20, 60, 1 << 20]))
@example(damage=[(0.5, 0, '"')], kept=1.0, piece=60)
@example(damage=[], kept=0.95, piece=1 << 20)
@example(damage=[(0.65625, 2, ""), (0.71875, 0, ";")], kept=1.0, piece=60)  # of sessions: a unit where the dose is
def test_a_damaged_export_states_what_a_second_reader_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, damage: list[Damage], kept: float, piece: int
) -> None:
    monkeypatch.setattr("ingest.dosimeters.lines.PIECE_CHARS", piece)
    path = tmp_path / "export.csv"
    path.write_bytes(whole := damaged(content(name), SOURCES[name]["encoding"], damage, kept))
    counted = statements(whole, SOURCES[name])
    found = stated_and_kept(path, SourceDescription.model_validate(SOURCES[name]))
    if counted is None or found is None:
        assert counted is found is None
        return
    stated, in_rows = found
    assert stated == in_rows, "each row and quantity that is stated is a record or a rejected dose"
    assert stated in counted
