"""dbt's own process: it ends with the one that asked, says how it ended, and nobody else imports dbt."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import duckdb
import pytest
from support.small_site import RATES, export, make_site, run, write

from ingest.site.config import load_site
from orchestration.dbt_build import DbtBuild
from orchestration.dbt_process import DbtProcess

pytestmark = pytest.mark.slow

AS_OF = date(2024, 3, 6)
PATIENCE_S = 60  # it looks up once it has imported
# What a night does, in a process that can be killed: prints who builds, then each event's node.
A_NIGHT = """
import signal, sys
from datetime import date
from pathlib import Path
from orchestration.dbt_build import DbtBuild
from orchestration.dbt_process import DbtProcess
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background, as of a CI, has it ignored
with DbtProcess() as dbt:
    print(dbt._process.pid, flush=True)
    for event, _ in dbt.events(DbtBuild(Path(sys.argv[1]), date(2024, 3, 6))):
        print(event["info"]["name"], flush=True)
"""


@pytest.fixture
def build_db(tmp_path: Path) -> Path:
    root = make_site(tmp_path / "site")
    write(root, f"{RATES}/a.csv", export(3600, 7200))
    run(root)
    return load_site(root).build_db


def is_running(pid: int) -> bool:
    """Whether any thread of it still does anything: one that ended may stay in the table of processes."""
    try:
        states = [stat.read_text().rpartition(")")[2].split()[0] for stat in Path(f"/proc/{pid}/task").glob("*/stat")]
        return any(state not in "ZX" for state in states)
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_for_the_end_of(pid: int) -> None:
    end = time.monotonic() + PATIENCE_S
    while is_running(pid):
        assert time.monotonic() < end, "dbt's process goes on by itself"
        time.sleep(0.05)


@pytest.mark.parametrize("until", ["", "LogHookEndLine"])  # it still imports; it asks what it will never be told
@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGINT])
def test_it_ends_with_the_process_that_asked(build_db: Path, until: str, by: signal.Signals) -> None:
    with duckdb.connect(build_db) as con:
        con.execute("alter table raw.site rename to one_site")
        con.execute("create view raw.site as select one_site.* from raw.one_site, range(1_000_000_000_000)")
    night = subprocess.Popen(
        [sys.executable, "-c", A_NIGHT, build_db],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        process_group=0,
    )
    assert night.stdout is not None
    dbt = int(night.stdout.readline())
    if until:
        assert any(line.strip() == until for line in night.stdout)
        time.sleep(2)
    assert is_running(dbt)
    if by == signal.SIGINT:
        os.killpg(night.pid, by)  # as a terminal does at Ctrl-C: both get it
    else:
        night.send_signal(by)
    night.communicate(timeout=PATIENCE_S)
    assert night.returncode == -by
    wait_for_the_end_of(dbt)
    with duckdb.connect(build_db) as con:  # nobody holds it
        assert con.execute("select count(*) from raw.dose_record").fetchall() == [(2,)]


def test_how_it_ended_is_said(build_db: Path) -> None:
    build = DbtBuild(build_db, AS_OF)
    with DbtProcess() as dbt, pytest.raises(RuntimeError, match="was killed by SIGKILL before the tables were made"):
        for _ in dbt.events(build):
            dbt._process.kill()
    with DbtProcess() as dbt, pytest.raises(RuntimeError, match=r"status 1 before .* made\. \S*IOException") as raised:
        list(dbt.events(DbtBuild(build_db.parent, AS_OF)))  # a folder is no database
    assert "Traceback" not in str(raised.value)
    assert "Traceback" in str(raised.value.__cause__)
    with DbtProcess() as dbt:
        list(dbt.events(build))
    assert build.failures == []


def test_a_failure_of_a_model_comes_back_in_words(build_db: Path) -> None:
    with duckdb.connect(build_db) as con:
        con.execute("alter table raw.dose_record drop column started_at")
    build = DbtBuild(build_db, AS_OF)
    with DbtProcess() as dbt:
        list(dbt.events(build))
    assert any("started_at" in failure for failure in build.failures)


@pytest.mark.parametrize(("found", "then"), [("16GB", "3.7 GiB"), ("1GB", "953.6 MiB")])
def test_a_build_takes_a_part_of_a_large_machine_and_no_more_of_a_small_one(
    build_db: Path, found: str, then: str
) -> None:
    build = DbtBuild(build_db, AS_OF, ("--select", "stg_site", "--indirect-selection", "empty"))
    with duckdb.connect(build_db) as con:  # dbt's connections share its settings
        con.execute(f"set memory_limit = '{found}'")
        list(build.events())
        assert build.failures == []
        assert con.execute("select current_setting('memory_limit')").fetchall() == [(then,)]


def test_a_run_that_builds_nothing_leaves_no_process(tmp_path: Path) -> None:
    """Its process of dbt is started before it is known whether the site is there."""
    run = [sys.executable, "-c", "from orchestration.cli import app; app()", "run", "--site", tmp_path / "nowhere"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    night = subprocess.Popen(run, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True)
    _, said = night.communicate(timeout=PATIENCE_S)
    assert night.returncode == 1
    assert said.strip().startswith("✗ ")
    assert "Traceback" not in said
    with pytest.raises(ProcessLookupError):  # nobody is left in its group
        os.killpg(night.pid, 0)


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
    arguments = [sys.executable, "-c", script, tmp_path]
    both = [subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env=environment) for _ in range(2)]
    told = sorted(process.communicate(timeout=PATIENCE_S)[0] for process in both)
    assert told == ["True\n", "parses\nTrue\n"]
    assert not list(kept.glob("parse-*"))


def test_what_dagster_loads_needs_no_dbt() -> None:
    loaded = "import sys, orchestration.definitions; print([m for m in sys.modules if m.partition('.')[0] == 'dbt'])"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout == "[]\n"
