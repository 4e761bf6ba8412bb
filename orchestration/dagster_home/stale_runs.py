"""Runs that were killed: for Dagster they run for ever, and occupy the place of the one writer.

They are ended in Dagster's own records. The site's lock, which each run holds, shows that none is running.
"""

from __future__ import annotations

from contextlib import suppress

import dagster as dg

from ingest.raw.build_db import AlreadyRunning, run_lock
from ingest.site.config import Site
from orchestration.dagster_home.instance import dagster_home

IN_PROGRESS = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]


def end_stale_runs(instance: dg.DagsterInstance) -> None:
    """Lets the next run start; only for one who holds the site's lock.

    Args:
        instance: Dagster's records of the site.
    """
    for run in instance.get_runs(dg.RunsFilter(statuses=IN_PROGRESS)):
        instance.report_run_failed(run, "Interrupted: its process ended before the run did.")
    history = instance.event_log_storage
    for run_id in history.get_concurrency_run_ids():
        history.free_concurrency_slots_for_run(run_id)


def end_stale_runs_of(site: Site) -> None:
    """The same outside a run; without effect during a run, which holds the lock and has ended the others.

    Raises:
        BuildUnavailable: the lock file cannot be made.
    """
    home = str(dagster_home(site.root))
    with suppress(AlreadyRunning), run_lock(site), dg.DagsterInstance.from_config(home) as instance:
        end_stale_runs(instance)
