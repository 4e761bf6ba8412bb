"""dbt in this process: parse the project where needed, build it for one as-of date, hand on its events as they come.

Parsing anew because the as-of date is another one would cost five seconds a night. A night does all this in a process
of its own: dbt_process.py. What Dagster makes of the events is said in assets.py.
"""

from __future__ import annotations

import json
import os
import queue
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from orchestration.product import DBT_PROJECT, deciding_files

if TYPE_CHECKING:
    from dbt.cli.main import dbtRunnerResult
    from dbt.contracts.graph.manifest import Manifest

MANIFEST = DBT_PROJECT / "target" / "manifest.json"
PARSED = MANIFEST.with_name("partial_parse.msgpack")  # the same as dbt's own objects
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
    """The manifest of the project as its files are now, PARSED beside it; parses (seconds) only if a file is newer.

    Of processes that come at the same time one parses and the others wait for it.

    Raises:
        RuntimeError: the project cannot be parsed.
    """
    if not _is_parsed():
        MANIFEST.parent.mkdir(exist_ok=True)
        with FileLock(MANIFEST.with_name("parse.lock")):
            if not _is_parsed():
                _parse()
    return MANIFEST


def _is_parsed() -> bool:
    newest = max(path.stat().st_mtime for path in deciding_files(PARSED_FROM))
    return PARSED.exists() and MANIFEST.exists() and MANIFEST.stat().st_mtime >= newest


def _parse() -> None:
    for left in MANIFEST.parent.glob(f"{PARSING}*"):  # by a process that was killed
        shutil.rmtree(left)
    with (
        tempfile.TemporaryDirectory(dir=MANIFEST.parent, prefix=PARSING) as folder,
        _environment(NO_DATABASE),
    ):
        result = _invoke(["parse", "--target-path", folder, "--log-path", folder], lambda _: None)
        if not result.success:
            raise RuntimeError(f"The dbt project cannot be parsed: {result.exception}")
        for made in (PARSED, MANIFEST):  # the manifest last: its time says how new both are
            (Path(folder) / made.name).replace(made)


def parsed_project() -> Manifest:
    """The project as dbt's own objects, as its files are now: dbt need not parse it for another as-of date.

    Raises:
        RuntimeError: the project cannot be parsed.
    """
    ensure_manifest()
    from dbt.contracts.graph.manifest import Manifest

    project = Manifest.from_msgpack(PARSED.read_bytes())
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
