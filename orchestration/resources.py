"""Resources of the assets: the site that they work on, and the report of progress.

assets.py uses them.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import date
from pathlib import Path
from typing import Any, Self

import dagster as dg
import duckdb

from ingest.problems import SiteError, UserError
from ingest.pseudonymise import Key, load_key
from ingest.raw.build_db import open_build, run_lock
from ingest.raw.file_ledger import whats_new
from ingest.site.config import Site, load_site
from ingest.sources.pull import Pulled, pull_all
from orchestration.disk_space import sentence_of
from orchestration.publication.clock_guard import ClockRefused, clock_at, date_without_request, run_date
from orchestration.steps import DBT_MODELS

# step, done, to do
Report = Callable[[str, int, int], None]


def silent(_step: str, _done: int, _total: int) -> None:
    """No report: Dagster's own log is enough."""


# what the servers of a site gave
Pull = Callable[[Site], list[Pulled]]


def pull_now(site: Site) -> list[Pulled]:
    """Pulls for the date of a run that requests none."""
    return pull_all(site, date_without_request(site), clock_at(site).today)


class SiteResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The site folder. It is read again at each step, so that changes count.

    Attributes:
        root: its path.
        is_retried: whether a step for which a server is missing is retried: in runs that no user waits for.
    """

    root: str
    is_retried: bool = False

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[Self]:
        """A run holds the site's lock, however it was started, and its date is checked first; a sensor only looks.

        Raises:
            AlreadyRunning: another process holds it.
            ClockRefused: the run's date cannot be right.
        """
        with self._lock() if context.run else nullcontext():
            if context.run:
                self._check_date(context.run.run_config)
            yield self

    def _check_date(self, run_config: Mapping[str, Any]) -> None:
        try:
            site = self.load()
        except SiteError:  # each step reports it itself
            return
        models = run_config.get("ops", {}).get(DBT_MODELS, {}).get("config", {})
        self.date_of_run(site, models.get("as_of", ""))

    def _lock(self) -> AbstractContextManager[None]:
        try:
            return run_lock(self.load())
        except SiteError:  # each step reports it itself, and can do nothing
            return nullcontext()

    def load(self) -> Site:
        """Reads the site folder; raises SiteError."""
        return load_site(Path(self.root))

    def date_of_run(self, site: Site, as_of: str) -> date:
        """The as-of date of a run that begins now; raises ClockRefused."""
        try:
            requested = date.fromisoformat(as_of) if as_of else None
        except ValueError:
            raise ClockRefused(
                f"as_of is {as_of!r}, no date such as 2024-03-31: correct it in the launchpad."
            ) from None
        return run_date(site, requested, lambda: whats_new(site, self.key(site)).has_files)

    def key(self, site: Site) -> Key:
        """The site's pseudonymisation key; raises KeyRefused."""
        return load_key(site.config.site_id, os.environ)

    @contextmanager
    def build(self, site: Site) -> Iterator[duckdb.DuckDBPyConnection]:
        """The build database, for writing; raises BuildUnavailable or WrongKey."""
        with open_build(site, self.key(site)) as con:
            yield con


@contextmanager
def plain_errors() -> Iterator[None]:
    """A mistake that the site can fix fails the step with its own sentence and no traceback."""
    try:
        yield
    except UserError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from None
    except KeyboardInterrupt:
        raise dg.Failure(
            description="The run was stopped: by Ctrl-C, or in the Dagster UI.", allow_retries=False
        ) from None
    except Exception as error:
        if (sentence := sentence_of(error)) is None:
            raise
        raise dg.Failure(description=sentence, allow_retries=False) from error
