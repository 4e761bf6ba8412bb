"""Dagster's files of a site are whole for everyone, whichever process came first."""

from __future__ import annotations

import multiprocessing as mp
import sqlite3
from contextlib import closing
from multiprocessing.synchronize import Barrier
from pathlib import Path

import dagster as dg
from support.small_site import make_site

from orchestration.dagster_home.instance import dagster_home

PROCESSES = 4
FILES = ("history/runs.db", "history/runs/index.db", "schedules/schedules.db")


def versions(home: Path) -> list[list[tuple[str]]]:
    found = []
    for file in FILES:
        with closing(sqlite3.connect(f"file:{home / file}?mode=ro", uri=True)) as connection:
            found.append(connection.execute("select version_num from alembic_version").fetchall())
    return found


def open_at_once(root: Path, all_ready: Barrier) -> None:
    all_ready.wait(60)
    with dg.DagsterInstance.from_config(str(dagster_home(root))) as instance:
        assert instance.get_runs_count() == 0


def test_processes_that_open_a_new_site_at_once_do_no_harm(tmp_path: Path) -> None:
    """As a night from cron, `doseledger ui` and its daemon may on the first day."""
    root = make_site(tmp_path / "site")
    spawn = mp.get_context("spawn")
    all_ready = spawn.Barrier(PROCESSES)
    processes = [spawn.Process(target=open_at_once, args=(root, all_ready)) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * PROCESSES
    assert [len(of_file) for of_file in versions(dagster_home(root))] == [1, 1, 1]


def test_files_are_there_before_the_settings_and_made_once(tmp_path: Path) -> None:
    root = make_site(tmp_path / "site")
    home = dagster_home(root)
    first = versions(home)
    assert [len(of_file) for of_file in first] == [1, 1, 1]
    settings = home / "dagster.yaml"
    written = settings.stat().st_mtime_ns
    assert dagster_home(root) == home
    assert settings.stat().st_mtime_ns == written
    settings.write_text("telemetry: {enabled: true}\n")  # as another version of the product may have had it
    dagster_home(root)
    assert "telemetry: {enabled: false}" in settings.read_text("utf-8")
    assert versions(home) == first
