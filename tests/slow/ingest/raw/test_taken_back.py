"""What is done after loading: a file is withdrawn and comes back, a unit is corrected after the inbox was emptied.

Each act is built as a night does, and the tables are at last compared with those of a rebuild.
"""

from __future__ import annotations

import hashlib
import shutil
from contextlib import closing
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
from support import sr_builder as sr
from support.changing_hospital import differences
from support.small_site import RATES, SOURCE, export, make_site, run, write

from ingest.site.config import load_site
from orchestration.dbt_build import build_tables
from orchestration.publication.build_record import drop_built_tables

AS_OF = date(2024, 3, 31)
SCHEMAS = ("intermediate", "marts", "ledger", "alerts")
OF_ONE_BUILD = {
    f"intermediate.int_{name}"
    for name in (
        *("clock_beam", "clock_day", "clock_sample"),
        *("room_timeline", "event_interval", "window_interval", "room_interval"),
    )
}
HEADER = "sha256,by,on,reason\n"
INGESTED = "select coalesce(sum(ingested_usv), 0) from ledger.dose_balance"
OF_FILE = "select status, reason from ledger.file where path = '{}' order by load_seq"


def built(root: Path) -> None:
    """Loads what is there and builds every table with its tests."""
    run(root)
    _build(load_site(root).build_db)
    assert ask(root, "select * from ledger.file_balance where imbalance_rows <> 0 or imbalance_usv <> 0") == []
    assert ask(root, "select * from ledger.report_balance where imbalance_events <> 0") == []


def _build(build_db: Path) -> None:
    build = build_tables(build_db, AS_OF)
    assert build.failures == []


def ask(root: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(duckdb.connect(str(load_site(root).build_db), read_only=True)) as con:
        return con.execute(query).fetchall()


def withdraw(root: Path, *paths: Path) -> None:
    rows = [f"{hashlib.sha256(path.read_bytes()).hexdigest()},Ana,2024-04-02,of another hospital\n" for path in paths]
    write(root, "reference/withdrawn_files.csv", HEADER + "".join(rows))


def test_files_are_taken_back_and_units_corrected_at_any_time(tmp_path: Path) -> None:
    root = make_site(tmp_path / "site", rooms="room_id,device_serial\nCATH1,S1\n")
    wrong = write(root, f"{RATES}/a.csv", export(3600, 7200))
    write(root, f"{RATES}/copy.csv", export(3600, 7200))
    write(root, f"{RATES}/b.csv", export(3600, day=6))
    report = write(root, "inbox/dose_reports/a.dcm", sr.as_file(sr.ordinary_report()))
    built(root)
    assert ask(root, INGESTED) == [(4,)]
    assert ask(root, "select count(*) from marts.fct_procedure") == [(1,)]

    withdraw(root, wrong, report)
    built(root)
    reason = "withdrawn on 2024-04-02: of another hospital"
    assert ask(root, INGESTED) == [(1,)]
    assert ask(root, "select sum(rows_withdrawn), sum(withdrawn_usv) from ledger.file_balance") == [(4, 6)]
    assert ask(root, "select count(*) from marts.fct_procedure") == [(0,)]
    assert ask(root, "select path, reason from ledger.file where status = 'withdrawn' order by path") == [
        ("inbox/dose_reports/a.dcm", reason),
        (f"{RATES}/a.csv", reason),
        (f"{RATES}/copy.csv", reason),
    ]

    write(root, "reference/withdrawn_files.csv", HEADER + f"{'0' * 64},Ana,2024-04-02,a slip\n")
    built(root)
    assert ask(root, INGESTED) == [(4,)], "what is no longer withdrawn counts again"
    assert ask(root, "select count(*) from marts.fct_procedure") == [(1,)]
    assert ask(root, "select code, path, line, field from ledger.oddity where code = 'unknown_file'") == [
        ("unknown_file", "reference/withdrawn_files.csv", 2, "sha256")
    ]

    for path in (root / RATES).iterdir():
        path.unlink()
    write(root, "sources/rates.yaml", SOURCE.replace("uSv/h", "mSv/h").replace("dst: true", "dst: false"))
    built(root)
    assert ask(root, INGESTED) == [(4000,)]
    assert ask(root, OF_FILE.format(f"{RATES}/a.csv")) == [
        ("superseded", "read again under a changed description of its source"),
        ("loaded", None),
    ]
    assert ask(root, OF_FILE.format(f"{RATES}/copy.csv"))[-1][0] == "duplicate"
    summer = SOURCE.replace("timezone: Europe/Madrid", "timezone: America/New_York")  # other instants, other hours
    write(root, "sources/rates.yaml", summer)
    built(root)
    assert ask(root, INGESTED) == [(4,)]
    assert ask(root, "select count(*), sum(value_usv) from intermediate.int_record_version") == [(3, Decimal(4))]

    copy = Path(shutil.copy(load_site(root).build_db, tmp_path / "doseledger.duckdb"))
    with duckdb.connect(copy) as con:
        drop_built_tables(con)
    _build(copy)
    found = differences(load_site(root).build_db, copy, SCHEMAS)
    assert {name: rows for name, rows in found.items() if name not in OF_ONE_BUILD} == {}


def test_a_source_whose_newest_files_are_all_refused_is_reported_until_one_loads(tmp_path: Path) -> None:
    root = make_site(tmp_path / "site")
    fired = "select message, value from alerts.alert where quantity = 'refused_source'"
    for number in range(3):
        write(root, f"{RATES}/{number}.csv", export(3600, day=number + 1))
    for number in range(3, 6):
        write(root, f"{RATES}/{number}.csv", export(3600, day=number + 1).replace("Rate", "Dose rate"))
    built(root)
    ((message, value),) = ask(root, fired)
    assert value == 3
    assert message.startswith(f"The newest 3 files of rates were all refused, the last one, {RATES}/5.csv, because: ")
    (root / RATES / "4.csv").rename(tmp_path / "4.csv")  # moved away: it counts no longer
    built(root)
    assert ask(root, fired) == []


def test_an_export_that_lies_in_the_folders_of_two_sources_is_named(tmp_path: Path) -> None:
    ward_rates = SOURCE.replace("source_id: rates", "source_id: ward_rates").replace("CATH1", "CATH2")
    root = make_site(tmp_path / "site", rooms="room_id,device_serial\nCATH1,S1\nCATH2,S2\n")
    write(root, "sources/ward_rates.yaml", ward_rates)
    original = write(root, f"{RATES}/a.csv", export(3600, 7200))
    write(root, f"{RATES}/again.csv", export(3600, 7200))  # a byte duplicate, which counts nowhere
    write(root, "inbox/dosimeters/ward_rates/a.csv", export(3600, 7200))
    write(root, "inbox/dosimeters/ward_rates/b.csv", export(3600, day=6))
    built(root)
    odd = "select path, message from ledger.oddity where code = 'same_bytes'"
    [(path, message)] = ask(root, odd)
    assert path == "inbox/dosimeters/ward_rates/a.csv"
    assert f"has the same bytes as {RATES}/a.csv of source rates, and is read for both sources" in message
    assert ask(root, INGESTED) == [(4,)]  # hubs of two sources receive the same badge: a sample counts once

    withdraw(root, original)
    write(root, f"{RATES}/a.csv", export(3600, 7200) + "\n")
    built(root)
    assert ask(root, odd) == []
    assert ask(root, INGESTED) == [(4,)]
