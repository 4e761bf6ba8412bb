"""What is in no figure is counted and put into words; devices that fit no room are named by ``check``."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from support import sr_builder as sr
from support.small_site import KEY, make_site, write
from typer.testing import CliRunner

from orchestration.cli import app
from orchestration.figures.input_counts import QUERIES, input_sentences_with_tables, read_input_counts
from orchestration.figures.wording import LANGUAGES, wording

TABLES = """
create schema ledger; create schema marts;
create table ledger.expected_study (reason varchar);
create table ledger.unmatched_device (
    device_serial varchar, station_name varchar, ae_title varchar, physical_location varchar, procedures bigint
);
create table marts.fct_procedure (procedure_type varchar);
create table ledger.file_balance (
    load_seq bigint, rows_replaced bigint, rows_conflicting bigint, rows_after_as_of bigint, rows_rejected bigint
);
create table ledger.file (load_seq bigint, status varchar);
create table ledger.oddity (code varchar);
create table ledger.report_balance (
    status varchar, events_counted bigint, events_counted_elsewhere bigint, events_superseded bigint,
    is_total_used boolean
);
"""
ROWS = """
insert into ledger.expected_study values (null), ('awaited'), ('missing'), ('report_not_counted');
insert into ledger.unmatched_device values
    ('S1', null, 'AE', null, 1), (null, 'LAB', null, null, 4), ('CT', null, null, null, 0);
insert into marts.fct_procedure values ('tavi'), ('unclassified');
insert into ledger.file_balance values (1, 2, 0, 5, 6), (2, 1, 1, 0, 0), (3, 0, 0, 0, 240);
insert into ledger.file values (1, 'loaded'), (2, 'loaded'), (3, 'quarantined');
insert into ledger.oddity values ('same_bytes'), ('counter_dip'), ('left_out_rows');
insert into ledger.report_balance values
    ('loaded', 3, 0, 0, true), ('superseded', 0, 0, 2, false), ('loaded', 0, 0, 0, true), ('duplicate', 0, 0, 0, false),
    ('loaded', 0, 0, 0, false), ('quarantined', null, null, null, false);
"""


@pytest.fixture
def con() -> duckdb.DuckDBPyConnection:
    con = duckdb.connect()
    con.execute(TABLES)
    return con


def test_zero_is_not_shown(con: duckdb.DuckDBPyConnection) -> None:
    assert read_input_counts(con) == ()


def test_what_is_not_counted_is_one_sentence_each(con: duckdb.DuckDBPyConnection) -> None:
    con.execute(ROWS)
    counts = read_input_counts(con)
    assert [(count.name, count.count) for count in counts] == [
        ("replaced_rows", 3),
        ("conflicting_rows", 1),
        ("rows_after_as_of", 5),
        ("rejected_rows", 6),
        ("left_out_rows", 1),
        ("same_bytes", 1),
        ("reports_not_counted", 2),
        ("missing_reports", 2),
        ("unclassified", 1),
        ("unknown_room", 5),
    ]
    assert input_sentences_with_tables(counts, wording("en")) == [
        "3 rows of exports were replaced by newer files.",
        "1 row of an export contradicts a higher one of the same file; the higher one counts (ledger.oddity).",
        "5 rows of exports are later than the as-of date.",
        "6 rows of exports were rejected and count nowhere (ledger.rejected_row).",
        "In 1 export lines that look like records are taken for its head or foot and count nowhere (ledger.oddity).",
        "1 export has the same bytes as one of another source; it is read for both (ledger.oddity).",
        "2 dose reports are in no figure (ledger.report_balance).",
        "2 studies are named by the logbook or a vendor and have no dose report (ledger.expected_study).",
        "1 procedure has no procedure class and is compared with no other.",
        "5 procedures are in no known room; identifiers that are not in the list of rooms: LAB; S1 / AE.",
    ]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_count_has_its_sentence(language: str) -> None:
    words = wording(language)
    assert [name for name in QUERIES if not words.knows(f"input.{name}")] == []


def test_check_names_devices_that_fit_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_site(tmp_path / "site", rooms="room_id,station_name,device_serial\nCATH1,LAB-1,4711\nCATH2,Hémo,\n")
    for name, value in KEY.items():
        monkeypatch.setenv(name, value)
    for number, station in enumerate(("LAB-1", "LAB-I", "LAB-I", "HEMO")):
        file = sr.as_file(sr.ordinary_report(StationName=station, SOPInstanceUID=f"1.2.{number}"))
        write(root, f"inbox/dose_reports/{number}.dcm", file)
    checked = CliRunner().invoke(app, ["check", "--site", str(root)])
    assert checked.exit_code == 0
    said = " ".join(checked.output.split())
    assert (
        "2 dose reports with device_serial S1, station_name LAB-I fit no room (did you mean station_name LAB-1?)"
        in said
    )
    assert "3 dose reports" not in said
    assert "HEMO" not in said, "accents are ignored, as in the models"
