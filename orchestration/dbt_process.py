"""dbt in a process of its own: it imports while this one does something else, builds once, and ends.

Only the two ends of the conversation live here, a line of JSON each time. What is built is dbt_build.py's, what is
asked of a built table built_tables.py's, what Dagster makes of either assets.py's.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterator
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any, Self, TextIO

import duckdb

from orchestration import own_process
from orchestration.built_tables import Contents, contents_of, failing_rows
from orchestration.dbt_build import DbtBuild, ensure_manifest, parsed_project, rehearse

Event = dict[str, Any]  # as in dbt's JSON log


class DbtProcess:
    """The process, importing from now on; it is good for one build.

    It ends with this one, however this one ends: DuckDB rolls back what was not committed.
    """

    def __init__(self) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - the process writes into it as long as it lives
        self._process = own_process.start(
            "orchestration.dbt_process", stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the process; a build that is still going on is broken off."""
        self._process.kill()
        self._process.communicate()
        self._errors.close()

    def events(self, build: DbtBuild) -> Iterator[tuple[Event, Contents]]:
        """Builds: each event with what is then in the table or test that it tells of; at the end what failed.

        Raises:
            RuntimeError: the process ended before the build did.
        """
        asked, told = self._process.stdin, self._process.stdout
        assert asked and told  # noqa: S101 - they are pipes
        with suppress(BrokenPipeError):  # then its last words say why
            asked.write(json.dumps(_request(build)) + "\n")
            asked.flush()
        last_words = ""
        for line in told:
            answer = json.loads(line)
            if "error" in answer:
                last_words = answer["error"]
                break
            if "failures" in answer:
                build.failures = answer["failures"]
                self._process.wait()
                return
            build.build_id = answer["event"]["info"]["invocation_id"]
            yield answer["event"], answer["contents"]
        status = self._process.wait()
        self._errors.seek(0)
        printed = self._errors.read().decode(errors="replace").strip()
        how = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
        sentence = f"dbt's process {how} before the tables were made. {last_words}".rstrip()
        raise RuntimeError(sentence) from RuntimeError(printed)  # the whole of it for Dagster's records


# --- the other end ---------------------------------------------------------------------------------------------------


def main() -> None:
    """Does what is asked, once, or says why not."""
    told = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what anybody prints is no answer
    try:
        _serve(told)
    except Exception as error:  # noqa: BLE001 - whatever it was, the other end says it
        traceback.print_exc()
        _say(told, error=traceback.format_exception_only(error)[-1].strip())
        os._exit(1)
    os._exit(0)  # everything is closed and said; taking dbt's objects apart would take a second, and words of their own


def _serve(told: TextIO) -> None:
    """Imports, waits for one request, builds, tells."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asked: this one ends with it
    gc.set_threshold(50_000, 20, 100)  # dbt's objects stay: looking through them again and again costs a second
    project = parsed_project()
    rehearse(project)
    if request := sys.stdin.readline():
        threading.Thread(target=_end_with_the_other, daemon=True).start()
        build = _requested(request)
        with duckdb.connect(build.build_db) as con:  # beside dbt's own connections, in the same process
            for event in build.events(project):
                _say(told, event=event, contents=_contents(con, build, event))
        _say(told, failures=build.failures)


def _end_with_the_other() -> None:
    sys.stdin.read()
    os._exit(1)


def _say(told: TextIO, **answer: object) -> None:
    told.write(json.dumps(answer) + "\n")


def _request(build: DbtBuild) -> dict[str, object]:
    return {
        "build_db": str(build.build_db),
        "as_of": build.as_of.isoformat(),
        "selection": list(build.selection),
        "is_standing": build.is_standing,
        "variables": dict(build.variables),
    }


def _requested(request: str) -> DbtBuild:
    asked = json.loads(request)
    return DbtBuild(
        Path(asked["build_db"]),
        date.fromisoformat(asked["as_of"]),
        asked["selection"],
        asked["is_standing"],
        asked["variables"],
    )


def _contents(con: duckdb.DuckDBPyConnection, build: DbtBuild, event: Event) -> Contents:
    """Of a table or view that was made, its rows and summary; of a test that failed, the rows that it found."""
    match event["info"]["name"], event["data"].get("node_info"):
        case "LogModelResult" | "LogSeedResult", {"node_status": "success", "node_relation": made}:
            return contents_of(con, f"{made['schema']}.{made['alias']}")
        case "LogTestResult", {"node_status": "fail" | "warn", "unique_id": unique_id}:
            nodes = json.loads(ensure_manifest().read_bytes())["nodes"]
            test = nodes[unique_id]
            tested = nodes[test["attached_node"]] if test.get("attached_node") else test
            return failing_rows(con, build.compiled(test), f"{tested['schema']}.{tested['alias']}")
    return {}


if __name__ == "__main__":
    main()
