"""The nightly job from the command line: the same job as in Dagster's UI, run in this process.

Returns the result as plain sentences; cli.py prints them and chooses the exit code.
"""

from __future__ import annotations

import os
from contextlib import redirect_stdout
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ingest.problems import UserError
from ingest.pseudonymise import Key, load_key
from ingest.raw.build_db import open_build, read_build, run_lock
from ingest.raw.file_ledger import input_fingerprint, whats_new
from ingest.site.config import Site, load_site
from ingest.sources.pull import Pulled, pull_all
from orchestration.dagster_home.instance import dagster_home
from orchestration.disk_space import NoRoom, check_room, is_full, is_nearly_full, no_room
from orchestration.failures import notify_operations, operations_notified, troubles_of, unexpected_errors
from orchestration.letters.delivery import Delivery, deliver
from orchestration.letters.operations import PULL, Trouble
from orchestration.publication.build_record import drop_built_tables, inputs_of_build
from orchestration.publication.clock_guard import clock_at, leap_of, run_date
from orchestration.publication.history import current_publication, holds
from orchestration.steps import DBT_MODELS, DOSIMETER_EXPORTS, LETTERS, PUBLICATION
from orchestration.webhooks import post_publication

if TYPE_CHECKING:
    import dagster as dg

    from orchestration.resources import Report


@dataclass(frozen=True)
class NightlyResult:
    """What a run did.

    Attributes:
        folder: the publication's folder for this as-of date; None if the run failed before it was there.
        is_current: False for a run with an as-of date before the current publication's.
        reasons: why it failed, one sentence each; empty otherwise.
        letters: where letters went or lie.
        letters_waiting: letters that were not sent; the reason is in ``notes``.
        notes: what the user should know although the run succeeded.
        not_pulled: what servers of dose reports failed to give, one sentence each; the rest was done all the same.
    """

    outcome: Literal["published", "nothing_new", "failed"]
    folder: Path | None = None
    is_current: bool = True
    reasons: list[str] = field(default_factory=list)
    letters: list[str] = field(default_factory=list)
    letters_waiting: int = 0
    notes: list[str] = field(default_factory=list)
    not_pulled: list[str] = field(default_factory=list)


def run_nightly(site_root: Path, as_of: date | None, report: Report) -> NightlyResult:
    """Runs the nightly job on a site.

    Args:
        site_root: the site folder.
        as_of: valid-time date; None = the site's local date now.
        report: called with the progress: step, done, to do.

    Raises:
        UserError: the site, its key or its build database cannot be used, or another run is going on.
        ClockRefused: the run's date cannot be right (clock_guard.py).
        PublishRefused: `current` cannot be read.
    """
    with operations_notified(site_root):
        return _run_nightly(load_site(site_root), as_of, report)


def _run_nightly(site: Site, as_of: date | None, report: Report) -> NightlyResult:
    key = load_key(site.config.site_id, os.environ)
    today = clock_at(site).today
    with run_lock(site):
        as_of = run_date(site, as_of, lambda: whats_new(site, key).has_files)
        # Before anything else: only then is it known whether there is anything new.
        pulled = pull_all(site, as_of, today)
        not_pulled = [failure for server in pulled for failure in server.failures]
        notes = [*filter(None, [leap_of(site), key.origin]), *map(str, pulled)]
        if not_pulled:
            notes += notify_operations(site.root, [Trouble(PULL, tuple(not_pulled))])
        if (folder := _already_published(site, key, as_of)) is not None:
            # Letters that a dead mail server kept back go out all the same.
            delivery = deliver(folder, site.config, site.data_dir, os.environ, today)
            notes += [*delivery.notes, *post_publication(folder, site.config, site.data_dir, os.environ)]
            result = NightlyResult(
                "nothing_new", folder, letters=_letters(delivery), letters_waiting=delivery.waiting, notes=notes
            )
        else:
            check_room(site)
            result = _execute("nightly", site, as_of, report, notes, pulled)
    return replace(result, not_pulled=not_pulled)


def rebuild(site_root: Path, report: Report) -> NightlyResult:
    """Rebuild every table from the raw tables, for the as-of date of the current publication, and publishes it.

    Args:
        site_root: the site folder.
        report: called with the progress: step, done, to do.

    Raises:
        UserError: as `run_nightly`, and if nothing was ever read.
    """
    with operations_notified(site_root):
        return _rebuild(load_site(site_root), report)


def _rebuild(site: Site, report: Report) -> NightlyResult:
    key = load_key(site.config.site_id, os.environ)
    if not site.build_db.exists():
        raise UserError(f"Nothing was read yet for site '{site.config.site_id}': run `doseledger run` first.")
    with run_lock(site):
        check_room(site)
        current = current_publication(site.published_dir)
        run_date(site, None, lambda: True)
        as_of = current.as_of if current else clock_at(site).today
        with open_build(site, key) as con:
            drop_built_tables(con)
        return _execute("rebuild", site, as_of, report, [], [])


def _already_published(site: Site, key: Key, as_of: date) -> Path | None:
    """The current publication's folder if a run would publish the same again: found without starting Dagster or dbt."""
    current = current_publication(site.published_dir)
    if current is None or not site.build_db.exists() or whats_new(site, key):
        return None
    with read_build(site, key) as con:
        fingerprint = inputs_of_build(input_fingerprint(con))
    return current.folder if holds(current, fingerprint, as_of) else None


def _execute(
    name: Literal["nightly", "rebuild"],
    site: Site,
    as_of: date,
    report: Report,
    notes: list[str],
    pulled: list[Pulled],
) -> NightlyResult:
    import dagster as dg

    from orchestration.dagster_home.stale_runs import end_stale_runs
    from orchestration.definitions import build_definitions

    job = build_definitions(site.root, report, lambda _: pulled).resolve_job_def(name)
    # What steps print, dbt's log, is in Dagster's records of the step; the terminal shows progress and the result.
    with (
        dg.DagsterInstance.from_config(str(dagster_home(site.root))) as instance,
        Path(os.devnull).open("w") as nowhere,
        redirect_stdout(nowhere),
    ):
        end_stale_runs(instance)
        result = job.execute_in_process(
            instance=instance,
            raise_on_error=False,
            run_config={
                "ops": {
                    DBT_MODELS: {"config": {"as_of": as_of.isoformat()}},
                    PUBLICATION: {"config": {"even_if_same": name == "rebuild"}},
                },
                # A person reads the result; the log with tracebacks is in Dagster's own records.
                "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
            },
        )
    if name == "nightly" and result.asset_materializations_for_node(DOSIMETER_EXPORTS):
        notes = [*notes, *_metadata(result, DOSIMETER_EXPORTS)["read_again"]]
    if not result.success:
        failed_steps = result.get_step_failure_events()
        troubles = troubles_of(failed_steps, site.root)
        reasons = [sentence for trouble in troubles for sentence in trouble.sentences]
        texts = [*reasons, *unexpected_errors(failed_steps)]  # each step has words of its own for it
        if any(map(is_full, texts)) or is_nearly_full(site):
            raise NoRoom(no_room(site))
        notes = [*notes, *notify_operations(site.root, troubles)]
        reasons += unexpected_errors(failed_steps)
        was_published = result.asset_materializations_for_node(PUBLICATION)
        folder = Path(_metadata(result, PUBLICATION)["folder"]) if was_published else None
        return NightlyResult("failed", folder, reasons=reasons, notes=notes)
    published = _metadata(result, PUBLICATION)
    delivered = _metadata(result, LETTERS)
    return NightlyResult(
        outcome="published" if published["is_new"] else "nothing_new",
        folder=Path(published["folder"]),
        is_current=published["is_current"],
        letters=delivered["letters"],
        letters_waiting=delivered["waiting"],
        notes=[*notes, *published["notes"], *delivered["notes"]],
    )


def _metadata(result: dg.ExecuteInProcessResult, asset: str) -> dict[str, Any]:
    (materialization,) = result.asset_materializations_for_node(asset)
    return {name: value.value for name, value in materialization.metadata.items()}


def _letters(delivery: Delivery) -> list[str]:
    return [letter.sent_to for letter in delivery.sent]
