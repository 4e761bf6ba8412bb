"""dbt in this process, through its documented programmatic invocation: parse the project, build it for one run.

The project is parsed once for all sites and nights, and handed to each build. What Dagster makes of the results is said
in assets.py.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
from filelock import FileLock

from orchestration.product import DBT_PROJECT, deciding_files
from orchestration.publication.build_record import set_run

if TYPE_CHECKING:
    from dbt.cli.main import dbtRunnerResult

MANIFEST = "manifest.json"
PARSED = "partial_parse.msgpack"  # dbt's own cache of parsed files
PARSING = "parse-"  # of the folders in which both are made
# No network request, and no log file beside the log that dbt prints.
QUIET = ("--no-send-anonymous-usage-stats", "--no-version-check", "--no-use-colors", "--log-level-file", "none")
# Unit tests prove the models, not tonight's data: they run in `make test`. Exposures build nothing, but dbt would count
# them. Unread artifacts.
LEAN = ("--exclude-resource-type", "unit_test", "exposure", "--no-write-json")
PARSED_FROM = ("dbt_project/*.yml", "dbt_project/m*/**/*", "dbt_project/seeds/**/*", "dbt_project/tests/**/*")
UNUSED_S = 30 * 86_400.0  # after which what was parsed from other files is removed
NO_DATABASE = {"DOSELEDGER_BUILD_DB": "doseledger.duckdb"}  # gives tables their name, is not opened
FAILED = ("error", "fail", "runtime error")

# The name of a table or test that has ended, how many have, and of how many.
Finished = Callable[[str, int, int], None]


@dataclass(frozen=True)
class NodeResult:
    """What became of one seed, model, test or hook; the fields are those of dbt's run_results.json.

    Attributes:
        status: ``success`` of a table, ``pass``, ``fail`` or ``warn`` of a test, ``error`` or ``skipped`` of both.
        compiled_code: the SQL that was run; empty for a seed and for what was not run.
    """

    unique_id: str
    resource_type: str
    name: str
    status: str
    message: str
    execution_time: float
    compiled_code: str

    @property
    def has_failed(self) -> bool:
        """An error, or a test that does not hold."""
        return self.status in FAILED


@dataclass(frozen=True)
class DbtBuild:
    """One ``dbt build``.

    Attributes:
        build_id: dbt's invocation id; None if it gave up before it began.
        results: of every seed, model and test that was selected, and of the hooks, in the order in which they ended.
        failures: one sentence for each of them that failed, or why dbt gave up.
    """

    build_id: str | None
    results: Sequence[NodeResult]
    failures: Sequence[str]


def build_tables(
    build_db: Path,
    as_of: date,
    *,
    may_become_current: bool = True,
    selection: Sequence[str] = (),
    variables: Mapping[str, int] | None = None,
    finished: Finished = lambda _name, _done, _total: None,
) -> DbtBuild:
    """Builds the whole project or a part of it.

    Args:
        build_db: the build database (absolute).
        as_of: valid-time date, site-local.
        may_become_current: False for a date before the current publication's.
        selection: dbt's selection arguments; empty = everything.
        variables: values of dbt's variables other than those in dbt_project.yml.
        finished: called for each table and test that ended, one at a time.

    Raises:
        KeyboardInterrupt: Ctrl-C; queries that ran were cancelled.
    """
    target = str(build_db.parent / "dbt")  # compiled SQL is the site's, and two sites may build at once
    progress = _Progress(finished)
    arguments = ("build", *LEAN, *selection, *_variables(variables), "--target-path", target, "--log-path", target)
    # While one connection is open, those that dbt opens and closes for each table share its database.
    with _environment({"DOSELEDGER_BUILD_DB": str(build_db)}), duckdb.connect(build_db) as con:
        set_run(con, as_of, may_become_current=may_become_current)
        outcome = _invoke(arguments, parsed_project(), progress.on_event)
    results = [_node_result(result) for result in getattr(outcome.result, "results", [])]
    failures = [f"{result.resource_type} {result.name}: {result.message}" for result in results if result.has_failed]
    if not outcome.success and not failures:
        failures = [f"dbt: {outcome.exception or 'failed without naming a node'}"]
    return DbtBuild(progress.build_id, results, failures)


class _Progress:
    """Events of a build; dbt's threads call it, one at a time."""

    def __init__(self, finished: Finished) -> None:
        self.build_id: str | None = None
        self._finished = finished
        self._done, self._total = 0, 0
        self._lock = threading.Lock()

    def on_event(self, event: Any) -> None:  # noqa: ANN401 - dbt's events have no type
        with self._lock:
            self.build_id = event.info.invocation_id
            if event.info.name == "ConcurrencyLine":
                self._total = event.data.node_count
            elif event.info.name == "NodeFinished" and event.data.node_info.resource_type != "operation":  # a hook
                self._done += 1
                self._finished(event.data.node_info.node_name, self._done, self._total)


def _node_result(result: Any) -> NodeResult:  # noqa: ANN401 - dbt promises fields, no class
    node = result.node
    return NodeResult(
        node.unique_id,
        str(node.resource_type),
        node.name,
        str(result.status),
        result.message or str(result.status),
        result.execution_time,
        getattr(node, "compiled_code", None) or "",
    )


def _variables(values: Mapping[str, int] | None) -> Sequence[str]:
    return ("--vars", json.dumps(dict(values))) if values else ()


def ensure_manifest() -> Path:
    """The manifest of the project as its files are now, PARSED beside it; parses (seconds) only if it is not there.

    It is kept below the account's cache folder, by what it was made from: the checkout's own ``target/`` belongs to the
    people who run dbt by hand, and an installation may be read-only. Of processes that come at the same time one parses
    and the others wait for it.

    Raises:
        RuntimeError: the project cannot be parsed.
    """
    manifest = _parsed_folder() / _parsed_from() / MANIFEST
    if not manifest.exists():
        with FileLock(manifest.parents[1] / "parse.lock"):
            if not manifest.exists():
                _parse(manifest.parent)
    return manifest


def _parsed_folder() -> Path:
    """Below the cache folder of the account (XDG), else, where that cannot be made or written, this process's own."""
    home = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # The XDG specification: a value that is not absolute counts as unset.
    cache = home if home.is_absolute() else Path(os.environ.get("HOME") or Path.home()) / ".cache"
    folder = cache / "doseledger" / "dbt"
    with suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder if os.access(folder, os.W_OK | os.X_OK) else Path(_own_folder().name)


@cache
def _own_folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="doseledger-dbt-")


def _parsed_from() -> str:
    """Hash of the project's files, where they are (dbt notes it) and dbt's version."""
    digest = hashlib.sha256(f"{DBT_PROJECT} {version('dbt-core')} {version('dbt-duckdb')}".encode())
    for path in deciding_files(PARSED_FROM):
        digest.update(path.relative_to(DBT_PROJECT).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:32]


def _parse(target: Path) -> None:
    for left in target.parent.iterdir():  # by a process that was killed, or from other files
        is_old = left.is_dir() and left.stat().st_mtime < time.time() - UNUSED_S
        if left.name.startswith(PARSING) or is_old:
            shutil.rmtree(left)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=PARSING) as folder:
        _parsed(Path(folder), "--write-json")
        target.mkdir(exist_ok=True)
        for made in (PARSED, MANIFEST):  # the manifest last: where it is, both are whole
            (Path(folder) / made).replace(target / made)


def parsed_project() -> Any:  # noqa: ANN401 - dbt's own object, for dbt
    """The project as dbt's own object, good for one build; dbt reads what it parsed before.

    Raises:
        RuntimeError: the project cannot be parsed.
    """
    return _parsed(ensure_manifest().parent, "--no-write-json")


def _parsed(folder: Path, *arguments: str) -> Any:  # noqa: ANN401
    with _environment(NO_DATABASE):
        outcome = _invoke(
            ("parse", "--log-level", "none", *arguments, "--target-path", str(folder), "--log-path", str(folder))
        )
    if not outcome.success:
        raise RuntimeError(f"The dbt project cannot be parsed: {outcome.exception}")
    return outcome.result


def _invoke(
    arguments: Sequence[str],
    project: Any = None,  # noqa: ANN401
    on_event: Callable[[Any], None] = lambda _: None,
) -> dbtRunnerResult:
    """Imported here because dbt takes seconds to import, and a run without anything new needs none of it.

    Without `project` dbt parses it.
    """
    from dbt.cli.main import dbtRunner

    folders = ("--project-dir", str(DBT_PROJECT), "--profiles-dir", str(DBT_PROJECT))
    with _interruptible():
        outcome = dbtRunner(project, callbacks=[on_event]).invoke([*arguments, *QUIET, *folders])
    if isinstance(outcome.exception, KeyboardInterrupt):
        raise outcome.exception
    return outcome


@contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C raises KeyboardInterrupt, at which dbt cancels its queries (not at Dagster's own exception)."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """The profile reads the database's path from the environment, so that no path is in the project."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
