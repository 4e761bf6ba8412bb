"""The real daemon: the inbox sensor runs the nightly job on a new file, the schedule fires at its minute."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email import message_from_bytes
from email.policy import SMTP
from pathlib import Path

import dagster as dg
import duckdb
from support.small_site import KEY, RATES, export, make_site, write

from ingest.pseudonymise import load_key
from ingest.raw.build_db import open_build
from ingest.raw.reference_load import load_reference
from ingest.site.config import load_site
from orchestration.dagster_home.instance import dagster_home
from orchestration.publication.history import current_publication

PATIENCE_S = 900  # a whole first night, perhaps a second before it, beside other tests

# The product's own definitions with a schedule that need not be waited for until 03:30.
EVERY_MINUTE = """\
from orchestration import automation
automation.AT_NIGHT = "* * * * *"
from orchestration.definitions import defs
"""


@contextmanager
def daemon(root: Path, folder: Path) -> Iterator[dg.DagsterInstance]:
    """`dagster-daemon run` on a site, as `doseledger ui` starts it; stopped with everything that it started."""
    code = write(folder, "every_minute.py", EVERY_MINUTE)
    home = dagster_home(root)
    environment = {**os.environ, **KEY, "DOSELEDGER_SITE": str(root), "DAGSTER_HOME": str(home)}
    command = [str(Path(sys.executable).with_name("dagster-daemon")), "run", "-f", str(code), "-d", str(Path.cwd())]
    with (folder / "daemon.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        with dg.DagsterInstance.from_config(str(home)) as instance:
            yield instance
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait_for(condition: Callable[[], bool], log: Path) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, log.read_text()[-3000:]
        time.sleep(1)


def runs_of(instance: dg.DagsterInstance, **tags: str) -> list[dg.DagsterRun]:
    return list(instance.get_runs(dg.RunsFilter(tags={f"dagster/{name}": value for name, value in tags.items()})))


def test_sensor_and_schedule_fire_and_a_new_file_is_published(tmp_path: Path) -> None:
    root = make_site(tmp_path / "site")
    site = load_site(root)
    with open_build(site, load_key("small", KEY)) as con:
        load_reference(con, site)  # so that the file is all that is new
    write(root, f"{RATES}/new.csv", export(3600, 7200))
    log = tmp_path / "daemon.log"
    with daemon(root, tmp_path) as instance:
        wait_for(lambda: len(runs_of(instance, schedule_name="nightly_at_0330")) > 0, log)
        wait_for(lambda: any(run.is_finished for run in runs_of(instance, sensor_name="inbox")), log)
        (by_sensor,) = runs_of(instance, sensor_name="inbox")
        assert by_sensor.status == dg.DagsterRunStatus.SUCCESS, log.read_text()[-3000:]
        assert by_sensor.job_name == "nightly"
        # One at a time: whoever came second waits, or ran after the first had ended.
        started = [run for run in instance.get_runs() if run.status == dg.DagsterRunStatus.STARTED]
        assert len(started) <= 1
    current = current_publication(site.published_dir)
    assert current is not None
    with duckdb.connect(current.folder / "warehouse.duckdb", read_only=True) as con:
        assert con.execute("select path, status, rows_loaded from ledger.file").fetchall() == [
            (f"{RATES}/new.csv", "loaded", 2)
        ]


def test_a_failed_run_is_told_to_operations_once(tmp_path: Path) -> None:
    """The other key stops every run of the schedule; the sensor writes one letter."""
    root = make_site(
        tmp_path / "site", site="site_id: small\nname: Small\nmail: {operations: [ops@hospital.example]}\n"
    )
    site = load_site(root)
    other = load_key("small", {"DOSELEDGER_KEY": "fedcba9876543210fedcba9876543210"})
    with open_build(site, other) as con:
        load_reference(con, site)
    log = tmp_path / "daemon.log"
    with daemon(root, tmp_path) as instance:
        wait_for(lambda: any(site.data_dir.glob("outbox/*_operations_*.eml")), log)
        wait_for(lambda: sum(run.is_failure for run in instance.get_runs()) > 1, log)
    (letter,) = site.data_dir.glob("outbox/*.eml")
    message = message_from_bytes(letter.read_bytes(), policy=SMTP)
    body = message.get_body(("plain",))
    assert str(message["Subject"]).startswith("Small: the run of")
    assert body is not None
    assert "was made with the pseudonymisation key" in body.get_content()
