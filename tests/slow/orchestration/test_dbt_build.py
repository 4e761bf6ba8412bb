"""dbt in the process of a night: it ends with it, leaves no connection, asks no network, and says what failed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import duckdb
import pytest
from support.small_site import RATES, export, make_site, run, write

from ingest.site.config import load_site
from orchestration.dbt_build import build_tables
from orchestration.publication.build_record import last_build

AS_OF = date(2024, 3, 6)
PATIENCE_S = 300  # a build beside other tests
# Builds in a process that can be stopped; dbt's log says what it does.
A_BUILD = """
import signal, sys
from datetime import date
from pathlib import Path
from orchestration.dbt_build import build_tables
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background, as of a CI, has it ignored
build_tables(Path(sys.argv[1]), date(2024, 3, 6))
"""


@pytest.fixture
def build_db(tmp_path: Path) -> Path:
    root = make_site(tmp_path / "site")
    write(root, f"{RATES}/a.csv", export(3600, 7200))
    run(root)
    return load_site(root).build_db


@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGINT])
def test_what_stops_the_process_stops_its_queries(build_db: Path, by: signal.Signals) -> None:
    with duckdb.connect(build_db) as con:
        con.execute("alter table raw.site rename to one_site")
        con.execute("create view raw.site as select one_site.* from raw.one_site, range(1_000_000_000_000)")
    building = subprocess.Popen(
        [sys.executable, "-u", "-c", A_BUILD, build_db],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert building.stdout is not None
    assert any("START sql table model" in line for line in building.stdout)
    time.sleep(2)
    building.send_signal(by)
    building.communicate(timeout=PATIENCE_S)
    assert building.returncode == -by
    with duckdb.connect(build_db) as con:  # nobody holds it
        assert con.execute("select count(*) from raw.dose_record").fetchall() == [(2,)]
        build = last_build(con, build_db.stem)
    assert build is not None
    assert build.blocked_by == ["the last build of the tables was interrupted"]


def test_each_table_is_told_no_connection_stays_open_and_no_network_is_asked(
    build_db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a hospital's network is closed")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    told: list[tuple[int, int]] = []
    assert build_tables(build_db, AS_OF, finished=lambda _, done, total: told.append((done, total))).failures == []
    assert told == [(done, len(told)) for done in range(1, len(told) + 1)]  # one at a time, up to all
    with duckdb.connect(build_db, config={"threads": 1}) as con:  # refused while another one of this process is open
        assert con.execute("select as_of from ops.build").fetchall() == [(AS_OF,)]


def test_a_failure_of_a_model_is_said_by_its_name(build_db: Path) -> None:
    with duckdb.connect(build_db) as con:
        con.execute("alter table raw.dose_record drop column started_at")
    build = build_tables(build_db, AS_OF)
    assert any("stg_dose_record" in failure and "started_at" in failure for failure in build.failures)
    assert not any("skipped" in failure.casefold() for failure in build.failures)


def test_a_build_that_cannot_begin_says_why(build_db: Path) -> None:
    build = build_tables(build_db, AS_OF, selection=("--select", "no_such_method:x"))
    assert len(build.failures) == 1
    assert "no_such_method" in build.failures[0]


@pytest.mark.parametrize(("found", "then"), [("16GB", "3.7 GiB"), ("1GB", "953.6 MiB")])
def test_a_build_takes_a_part_of_a_large_machine_and_no_more_of_a_small_one(
    build_db: Path, found: str, then: str
) -> None:
    with duckdb.connect(build_db) as con:  # dbt's connections share its settings
        con.execute(f"set memory_limit = '{found}'")
        one_view = ("--select", "stg_site", "--indirect-selection", "empty")
        assert build_tables(build_db, AS_OF, selection=one_view).failures == []
        assert con.execute("select current_setting('memory_limit')").fetchall() == [(then,)]


def test_of_two_that_find_the_project_not_parsed_one_parses(tmp_path: Path) -> None:
    script = """if True:
        import sys
        from pathlib import Path
        from orchestration import dbt_build
        parse = dbt_build._parse
        dbt_build._parse = lambda target: print("parses") or parse(target)
        manifest = dbt_build.ensure_manifest()
        print(manifest.is_relative_to(sys.argv[1]) and manifest.stat().st_size > 0)
    """
    kept = tmp_path / "doseledger" / "dbt"
    (kept / "parse-killed").mkdir(parents=True)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "XDG_CACHE_HOME": str(tmp_path)}
    arguments = [sys.executable, "-c", script, str(tmp_path)]
    both = [subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env=environment) for _ in range(2)]
    told = sorted(process.communicate(timeout=PATIENCE_S)[0] for process in both)
    assert told == ["True\n", "parses\nTrue\n"]
    assert not list(kept.glob("parse-*"))
