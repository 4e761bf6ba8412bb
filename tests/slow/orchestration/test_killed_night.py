"""A whole night is killed by the system: the next one publishes, and Dagster's records say how the first one ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
import pytest
from support.small_site import KEY, RATES, export, make_site, write

from ingest.raw.build_db import run_lock
from ingest.site.config import load_site
from orchestration.dagster_home.instance import dagster_home
from orchestration.dagster_home.stale_runs import end_stale_runs_of

PATIENCE_S = 600  # a whole night beside other tests
NIGHT = [sys.executable, "-c", "from orchestration.cli import app; app()", "run", "--site"]
# What a run of the daemon is: a process that holds no lock but what the run itself takes.
OF_DAGSTER = ["job", "execute", "-m", "orchestration.definitions", "-j", "nightly"]


def statuses(root: Path) -> list[dg.DagsterRunStatus]:
    with dg.DagsterInstance.from_config(str(dagster_home(root))) as instance:
        return [run.status for run in instance.get_runs()]


@pytest.mark.parametrize("started_by", ["command line", "Dagster"])
def test_the_night_after_a_killed_one_publishes(tmp_path: Path, started_by: str) -> None:
    root = make_site(tmp_path / "site")
    site = load_site(root)
    write(root, f"{RATES}/a.csv", export(3600, 7200))
    of_site = {"DOSELEDGER_SITE": str(root), "DAGSTER_HOME": str(dagster_home(root))}
    environment = os.environ | KEY | of_site | {"PYTHONPATH": os.pathsep.join(sys.path)}
    night = [*NIGHT, str(root)]
    command = night if started_by == "command line" else [str(Path(sys.executable).with_name("dagster")), *OF_DAGSTER]
    killed = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    while not (site.build_db.parent / "dbt" / "compiled").exists():  # it builds
        assert killed.poll() is None
        time.sleep(0.1)

    beside = subprocess.run(night, capture_output=True, text=True, env=environment, timeout=PATIENCE_S, check=False)
    assert beside.returncode == 1
    assert "Another run of site 'small' is going on" in beside.stderr
    end_stale_runs_of(site)  # as the UI does when it starts
    assert statuses(root) == [dg.DagsterRunStatus.STARTED]

    killed.kill()
    killed.wait()
    done = subprocess.run(night, capture_output=True, text=True, env=environment, timeout=PATIENCE_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert statuses(root) == [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]


def test_ctrl_c_stops_a_night_with_a_sentence_and_the_next_one_publishes(tmp_path: Path) -> None:
    root = make_site(tmp_path / "site")
    write(root, f"{RATES}/a.csv", export(3600, 7200))
    environment = os.environ | KEY | {"PYTHONPATH": os.pathsep.join(sys.path)}
    # A shell's background, as of a CI, has it ignored.
    listens = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    night = [*NIGHT, str(root)]
    stopped = subprocess.Popen(
        [sys.executable, "-c", listens + night[2], *night[3:]],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    while not (load_site(root).build_db.parent / "dbt" / "compiled").exists():  # it builds
        assert stopped.poll() is None
        time.sleep(0.1)
    stopped.send_signal(signal.SIGINT)
    _, said = stopped.communicate(timeout=PATIENCE_S)
    assert stopped.returncode == 1
    assert "The run was stopped: by Ctrl-C, or in the Dagster UI." in said
    assert "Traceback" not in said
    done = subprocess.run(night, capture_output=True, text=True, env=environment, timeout=PATIENCE_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_night_without_news_imports_neither_dagster_nor_dbt(tmp_path: Path) -> None:
    root = make_site(tmp_path / "site")
    environment = os.environ | KEY | {"PYTHONPATH": os.pathsep.join(sys.path)}
    script = """if True:
        import sys
        from orchestration.cli import app
        app(["run", "--site", sys.argv[1]], standalone_mode=False)
        print(sorted({name.partition(".")[0] for name in sys.modules} & {"dagster", "dbt", "great_expectations"}))
    """
    night = [sys.executable, "-c", script, str(root)]
    first, second = [
        subprocess.run(night, capture_output=True, text=True, env=environment, timeout=PATIENCE_S, check=True).stdout
        for _ in range(2)
    ]
    assert first.splitlines()[-1] == "['dagster', 'dbt', 'great_expectations']"
    printed = [out.read_text("utf-8") for out in (root / "data" / "dagster").rglob("compute_logs/*.out")]
    assert any("Completed successfully" in log for log in printed)  # dbt's log is the step's, for the UI
    assert "Completed successfully" not in first
    assert "Nothing new since" in second
    assert second.splitlines()[-1] == "[]"


def test_what_was_killed_keeps_no_place_once_the_ui_starts(tmp_path: Path) -> None:
    root = make_site(tmp_path / "site")
    site = load_site(root)
    with dg.DagsterInstance.from_config(str(dagster_home(root))) as instance:
        history = instance.event_log_storage
        started = dg.DagsterRun(job_name="nightly", run_id="1" * 8, status=dg.DagsterRunStatus.STARTED)
        waiting = dg.DagsterRun(job_name="nightly", run_id="2" * 8)
        for run in (started, waiting):
            instance.add_run(run)
        history.initialize_concurrency_limit_to_default("duckdb_write")
        assert history.claim_concurrency_slot("duckdb_write", started.run_id, "dbt_models").is_claimed
        end_stale_runs_of(site)
        assert [run.status for run in instance.get_runs()] == [waiting.status, dg.DagsterRunStatus.FAILURE]
        assert history.claim_concurrency_slot("duckdb_write", waiting.run_id, "dbt_models").is_claimed
    with run_lock(site):  # and was let go
        pass
