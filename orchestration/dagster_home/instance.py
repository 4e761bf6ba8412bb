"""Where Dagster keeps its own records of a site: runs, events, schedules, below the site's data_dir.

Its settings live here as one text; what runs is in assets.py and automation.py.
"""

from __future__ import annotations

from pathlib import Path

from filelock import FileLock

from ingest.folders import OWNER_ONLY, make_folder
from ingest.site.config import load_site

SETTINGS = """\
# Written by DoseLedger, when Dagster's files beside it were made.
telemetry: {enabled: false}  # a hospital's network is closed
nux: {enabled: false}  # no invitation to sign up for something outside
concurrency:
  pools: {default_limit: 1, granularity: op}  # the build database has one writer
  runs: {max_concurrent_runs: 1}  # a night that the sensor requests waits until the schedule's is done
run_monitoring: {enabled: true, free_slots_after_run_end_seconds: 30}  # a run that was killed may have kept its place
"""


def dagster_home(site_root: Path) -> Path:
    """The folder that DAGSTER_HOME names for this site, with its settings and Dagster's own files, made if absent.

    Raises:
        SiteError: the site cannot be read.
        OSError: the folder cannot be written.
    """
    home = load_site(site_root).data_dir / "dagster"
    make_folder(home, OWNER_ONLY)
    settings = home / "dagster.yaml"
    with FileLock(home / "making.lock"):
        if not settings.exists() or settings.read_text("utf-8") != SETTINGS:
            _make_files(settings)
    return home


def _make_files(settings: Path) -> None:
    """One process at a time, and the settings get their name last: where they are, the files are whole.

    Of two processes that open a new folder at once, Dagster 1.13 lets one take the other's half-made file for one of an
    old version; it marks it with two versions, and no process can open it again.
    """
    import dagster as dg

    unproven = settings.with_name("unproven.yaml")
    unproven.write_text(SETTINGS, "utf-8")
    with dg.DagsterInstance.from_config(str(settings.parent), unproven.name):
        unproven.replace(settings)
