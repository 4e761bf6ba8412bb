"""Readers that never pause while one publication follows another: no error, one run in every file that they open."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
from support.small_build import make_build, pass_gate

from orchestration.publication.history import publications
from orchestration.publication.publish import Publication, publish

READERS = 8
PUBLICATIONS = 30
KEPT = 20  # old ones are removed while readers are at work

# As docs/operations/readers.md says: the link is resolved once, then every file is opened in that folder.
READER = """
import json, os, sys
from pathlib import Path
import duckdb

os.nice(10)  # eight that never pause would leave the publication no time
published, stop = Path(sys.argv[1]), Path(sys.argv[2])
FILES = ("warehouse.duckdb", "restricted/restricted.duckdb")

def runs_of(folder):
    for file in FILES:
        with duckdb.connect(folder / file, read_only=True, config={"threads": 1}) as con:
            newest, = con.execute("select max_by(run_id, published_at) from ledger.publication").fetchone()
            assert con.execute("select count(*) from marts.fct_procedure").fetchone() == (2,)
            yield newest
    with duckdb.connect(folder / "department/warehouse.duckdb", read_only=True, config={"threads": 1}) as con:
        yield con.execute("select run_id from department.publication").fetchone()[0]
    with duckdb.connect(config={"threads": 1}) as con:
        metadata = f"from parquet_kv_metadata('{folder}/parquet/*/*.parquet') where key = 'run_id'"
        for run_id, in con.execute(f"select distinct decode(value) {metadata}").fetchall():
            yield run_id

first = Path(os.path.realpath(published / "current"))
old = duckdb.connect(first / "warehouse.duckdb", read_only=True, config={"threads": 1})
seen, errors = set(), []
print("ready", flush=True)
while not stop.exists():
    try:
        folder = Path(os.path.realpath(published / "current"))
        runs = set(runs_of(folder))
        if runs != {folder.name}:
            errors.append(f"{folder.name} holds {runs}")
        seen |= runs
    except Exception as error:
        errors.append(repr(error))
finished_on = old.execute("select max_by(run_id, published_at) from ledger.publication").fetchone()[0]
rows = old.execute("select count(*) from alerts.alert").fetchone()[0]
print(json.dumps({"errors": errors, "seen": len(seen), "finished_on": finished_on, "old_rows": rows}))
"""

# Nothing but looking whether there is a publication: sees a gap of milliseconds that a reader may not hit.
WATCHER = """
import os, sys

os.nice(10)
published, stop = sys.argv[1:]
print("ready", flush=True)
looks = gaps = 0
while looks % 1000 or not os.path.exists(stop):
    looks += 1
    gaps += not os.path.exists(published + "/current/warehouse.duckdb")
print(looks, gaps)
"""


def started(script: str, published: Path, stop: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", script, published, stop], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_eight_readers_and_thirty_publications(tmp_path: Path) -> None:
    build, published, stop = make_build(tmp_path / "build" / "x.duckdb"), tmp_path / "published", tmp_path / "stop"
    pass_gate(build)
    night = datetime(2024, 4, 1, 3, 0, tzinfo=UTC)
    first = publish(build, published, now=night)
    readers = [started(READER, published, stop) for _ in range(READERS)]
    watcher = started(WATCHER, published, stop)
    try:
        for number in range(1, PUBLICATIONS + 1):
            now = night + timedelta(days=2 * number)  # each is old enough to be removed when its turn comes
            last = publish(build, published, even_if_same=True, keep=KEPT, now=now)
            assert isinstance(last, Publication)
        stop.touch()
        told = [json.loads(reader.communicate(timeout=60)[0]) for reader in readers]
        looks, gaps = watcher.communicate(timeout=60)[0].split()
    finally:
        for process in (watcher, *readers):
            process.kill()
    assert (int(looks) > 10_000, int(gaps)) == (True, 0)
    assert [one["errors"] for one in told] == [[]] * READERS
    # The oldest reader finishes on a publication whose folder is long gone.
    assert {one["finished_on"] for one in told} == {first.run_id}
    assert {one["old_rows"] for one in told} == {3}
    assert not first.folder.exists()
    assert len(publications(published)) == KEPT
    assert sum(one["seen"] for one in told) >= 5 * READERS  # they really saw publications come and go
    with duckdb.connect(published / "current" / "warehouse.duckdb", read_only=True) as con:
        assert con.execute("select count(*) from ledger.publication").fetchone() == (PUBLICATIONS + 1,)
