"""dbt in this process: parse the project where needed, build it for one as-of date, hand on its events as they come.

Parsing anew because the as-of date is another one would cost five seconds a night. A night does all this in a process
of its own: dbt_process.py. What Dagster makes of the events is said in assets.py.
"""

from __future__ import annotations

import hashlib
import json
import os
import queue
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from orchestration.product import DBT_PROJECT, deciding_files

if TYPE_CHECKING:
    from dbt.cli.main import dbtRunnerResult
    from dbt.contracts.graph.manifest import Manifest

MANIFEST = "manifest.json"
PARSED = "partial_parse.msgpack"  # the same as dbt's own objects
PARSING = "parse-"  # of the folders in which both are made
# What dbt would otherwise ask the network or the terminal, and a log file that nobody reads: a tenth of a build.
QUIET = (
    *("--no-send-anonymous-usage-stats", "--no-version-check", "--no-use-colors"),
    *("--log-level", "none", "--log-level-file", "none"),
)
# Unit tests prove the models, not tonight's data: they run in `make test`. Exposures build nothing, but dbt would count
# them. Artifacts nobody reads.
LEAN = ("--exclude-resource-type", "unit_test", "exposure", "--no-write-json")
# Everything but seeds and views: where they stand, they are the product's own and the same every night. "cautious": a
# test that reads a seed and something else is not left out with the seed.
WITHOUT_STANDING = (
    *("--select", "config.materialized:table", "config.materialized:incremental", "resource_type:test"),
    *("--exclude", "resource_type:seed", "--indirect-selection", "cautious"),
)
PARSED_FROM = ("dbt_project/*.yml", "dbt_project/m*/**/*", "dbt_project/seeds/**/*", "dbt_project/tests/**/*")
UNUSED_S = 30 * 86_400.0  # after which what was parsed from other files is removed
NO_DATABASE = {"DOSELEDGER_BUILD_DB": "doseledger.duckdb"}  # gives tables their name, is not opened
# The events that tell how a node ended; dbt fires thirty times as many.
TOLD = ("MainReportVersion", "LogSeedResult", "LogModelResult", "LogTestResult", "LogHookEndLine")


@dataclass
class DbtBuild:
    """One ``dbt build`` of the whole project or a part of it.

    Attributes:
        build_db: the build database (absolute).
        as_of: valid-time date, site-local.
        selection: dbt's selection arguments; empty = everything.
        is_standing: seeds and views stand from an earlier build of this product; what is selected, they are left out.
        variables: values of dbt's variables other than those in dbt_project.yml.
        build_id: dbt's invocation id, known once the first event came.
        failures: after the last event, one sentence for each node that failed.
    """

    build_db: Path
    as_of: date
    selection: Sequence[str] = ()
    is_standing: bool = False
    variables: Mapping[str, int] = field(default_factory=dict)
    build_id: str | None = None
    failures: list[str] = field(default_factory=list)

    @property
    def target(self) -> Path:
        """Where dbt writes: beside the build database, since compiled SQL is the site's and two sites may build."""
        return self.build_db.parent / "dbt"

    def events(self, project: Manifest | None = None) -> Iterator[dict[str, Any]]:
        """Runs dbt and yields its events in the form of its JSON log.

        Args:
            project: as `parsed_project` gave it, if it was asked for ahead; one is good for one build.
        """
        selection = WITHOUT_STANDING if self.is_standing else self.selection
        variables = {"as_of": self.as_of.isoformat(), "standing": self.is_standing, **self.variables}
        arguments = [
            *("build", *LEAN, *selection, "--vars", json.dumps(variables)),
            *("--target-path", str(self.target), "--log-path", str(self.target)),
        ]
        events: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        with _environment({"DOSELEDGER_BUILD_DB": str(self.build_db)}), ThreadPoolExecutor(1) as worker:
            running = worker.submit(_invoke, arguments, events.put, project or parsed_project())
            running.add_done_callback(lambda _: events.put(None))
            while event := events.get():
                self.build_id = event["info"]["invocation_id"]
                yield event
            self.failures = _failures(running)

    def compiled(self, node: Mapping[str, Any]) -> str:
        """SQL of a model or test as it was run, from the node's entry in the manifest."""
        file: Path = self.target / "compiled" / node["package_name"] / node["original_file_path"]
        return (file / node["path"] if file.is_dir() else file).read_text("utf-8")


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
    with (
        tempfile.TemporaryDirectory(dir=target.parent, prefix=PARSING) as folder,
        _environment(NO_DATABASE),
    ):
        result = _invoke(["parse", "--target-path", folder, "--log-path", folder], lambda _: None)
        if not result.success:
            raise RuntimeError(f"The dbt project cannot be parsed: {result.exception}")
        target.mkdir(exist_ok=True)
        for made in (PARSED, MANIFEST):  # the manifest last: where it is, both are whole
            (Path(folder) / made).replace(target / made)


def parsed_project() -> Manifest:
    """The project as dbt's own objects, as its files are now: dbt need not parse it for another as-of date.

    Raises:
        RuntimeError: the project cannot be parsed.
    """
    parsed = ensure_manifest().with_name(PARSED)
    from dbt.contracts.graph.manifest import Manifest

    project = Manifest.from_msgpack(parsed.read_bytes())
    project.build_flat_graph()  # type: ignore[no-untyped-call]  # what macros see as `graph`: dbt makes it while parsing
    return project


def rehearse(project: Manifest) -> None:
    """Lets dbt make what it makes once a process, two seconds' work: it compiles a view and its tests, no more."""
    with tempfile.TemporaryDirectory() as folder:
        empty = {name: str(Path(folder, file)) for name, file in NO_DATABASE.items()}
        arguments = ("--select", "stg_site", "--target-path", folder, "--log-path", folder)
        with _environment(empty):
            _invoke(["compile", *arguments], lambda _: None, project)
    import_module("pandas")  # DuckDB wants it at the first parameter of a query, int_clock_match has one


def _invoke(
    arguments: Sequence[str],
    on_event: Any,  # noqa: ANN401 - dbt's events have no type
    project: Manifest | None = None,
) -> dbtRunnerResult:
    """Imported here because dbt takes seconds to import, and a run without anything new needs none of it.

    Without `project` dbt parses it.
    """
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.cli.main import dbtRunner
    from dbt_common.events.base_types import EventMsg
    from dbt_common.events.functions import msg_to_dict

    def hand_on(event: EventMsg) -> None:
        if event.info.name in TOLD:
            on_event(msg_to_dict(event))

    folders = ("--project-dir", str(DBT_PROJECT), "--profiles-dir", str(DBT_PROJECT))
    try:
        return dbtRunner(project, callbacks=[hand_on]).invoke([*QUIET, *arguments, *folders])
    finally:
        # Else the database stays open, and locked for others, as long as this process lives.
        DuckDBConnectionManager.close_all_connections()  # type: ignore[no-untyped-call]


def _failures(running: Future[dbtRunnerResult]) -> list[str]:
    outcome = running.result()
    if outcome.success:
        return []
    nodes = getattr(outcome.result, "results", [])  # none where dbt gave up before the first node
    return [
        f"{node.node.resource_type} {node.node.name}: {node.message or node.status}"
        for node in nodes
        if node.status in ("error", "fail", "runtime error")
    ] or [f"dbt: {outcome.exception or 'failed without naming a node'}"]


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
