"""What one new day costs as the history grows, and what a rebuild of it costs: tables, checks and publication.

Run with `python benchmarks/growth.py`. Only measuring lives here: raw tables are written straight (growth.sql), so that
reading files is not in it; what is built, judged and published is the product's own. No answer is judged (tests do).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb

from expectations.gate import judge, record
from expectations.suites import Settings
from ingest.raw.build_db import SCHEMA_VERSION, raw_ddl
from orchestration.dbt_build import build_tables
from orchestration.publication.build_record import inputs_of_build, last_build, record_input
from orchestration.publication.publish import publish

SIZES = (0, 10_000, 100_000, 1_000_000)
FIRST_DAY = date(2010, 1, 4)
ROOMS, PER_DAY = 20, 8
HOSPITAL = Path(__file__).with_suffix(".sql")


@dataclass(frozen=True)
class Night:
    """One line of the table: wall seconds of each step, processor seconds of all, highest resident memory in GB."""

    what: str
    procedures: int
    samples: int
    tables_s: float
    checks_s: float
    publication_s: float
    cpu_s: float
    peak_gb: float
    build_db_gb: float


def main() -> None:
    """Measure, print the table, and write it as JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--procedures", type=int, nargs="+", default=SIZES)
    parser.add_argument("--json", type=Path, help="write the figures here, too")
    parser.add_argument("--folder", type=Path, help="where the databases are made (they are large); default: temporary")
    parser.add_argument("--night", type=str, nargs=2, metavar=("WHAT", "DAYS"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.night:
        json.dump(asdict(night(arguments.folder, arguments.night[0], int(arguments.night[1]))), sys.stdout)
        return
    nights = [figures for size in arguments.procedures for figures in measure(size, arguments.folder)]
    print(
        f"{'':>8} {'procedures':>10} {'samples':>11} {'tables':>8} {'checks':>8} "
        f"{'publish':>8} {'CPU':>8} {'memory':>9} {'disk':>8}"
    )
    for figures in nights:
        print(
            "{what:>8} {procedures:>10} {samples:>11} {tables_s:6.1f} s {checks_s:6.1f} s {publication_s:6.1f} s "
            "{cpu_s:6.1f} s {peak_gb:6.2f} GB {build_db_gb:5.1f} GB".format(**figures)
        )
    if arguments.json:
        arguments.json.write_text(json.dumps(nights, indent=2) + "\n", encoding="utf-8")


def measure(procedures: int, folder: Path | None) -> list[dict[str, Any]]:
    """A history of so many procedures is built from raw, then one more day comes."""
    days = -(-procedures // (ROOMS * PER_DAY))
    with tempfile.TemporaryDirectory(dir=folder) as home:
        write_raw(Path(home), 0, days)
        nights = [_in_own_process(Path(home), "rebuild", days)]
        write_raw(Path(home), days, days + 1)
        return [*nights, _in_own_process(Path(home), "new day", days + 1)]


def write_raw(home: Path, from_day: int, to_day: int) -> None:
    """Adds days to the raw tables, a block at a time: a whole history at once would not fit into memory."""
    build_db = home / "doseledger.duckdb"
    is_new = not build_db.exists()
    with duckdb.connect(build_db) as con:
        con.execute(
            "set TimeZone = 'UTC'; set threads = 2; set memory_limit = '4GB'; set preserve_insertion_order = true"
        )
        if is_new:
            con.execute(raw_ddl())
            con.execute(
                "insert into raw.warehouse values (?, 'growth', 'no key', ?)", [SCHEMA_VERSION, datetime.now(UTC)]
            )
            con.execute(_sql("reference"))
        for first in range(from_day, to_day, 50):
            con.execute(_sql("days", from_day=first, to_day=min(first + 50, to_day)))
        con.execute("checkpoint")


def _sql(part: str, **days: int) -> str:
    _, reference, per_day = re.split(r"^-- (?:reference|days)\n", HOSPITAL.read_text("utf-8"), flags=re.MULTILINE)
    statements = {"reference": reference, "days": per_day}[part]
    values = {"rooms": ROOMS, "per_day": PER_DAY, "first_day": FIRST_DAY} | days
    return re.sub(r"\$(\w+)", lambda name: str(values[name[1]]), statements)


def night(home: Path, what: str, days: int) -> Night:
    """Tables, checks and publication of what is in the raw tables, in this process."""
    build_db = home / "doseledger.duckdb"
    moments = [time.perf_counter()]
    build = build_tables(build_db, FIRST_DAY + timedelta(days=days - 1))
    if build.failures or build.build_id is None:
        raise SystemExit("\n".join(build.failures))
    moments.append(time.perf_counter())
    verdict = judge(build_db, Settings(max_quarantined_files_share=Decimal("0.05")))
    with duckdb.connect(build_db) as con:
        record(con, build.build_id, verdict)
        record_input(con, build.build_id, inputs_of_build(f"{days} days"))
        last = last_build(con, build_db.stem)
        procedures, samples = _counts(con)
    if last is None or last.blocked_by:
        raise SystemExit(f"blocked: {last}")
    moments.append(time.perf_counter())
    publish(build_db, home / "published")
    moments.append(time.perf_counter())
    tables_s, checks_s, publication_s = (later - earlier for earlier, later in pairwise(moments))
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    size_gb = build_db.stat().st_size / 1e9
    return Night(what, procedures, samples, tables_s, checks_s, publication_s, time.process_time(), peak_gb, size_gb)


def _counts(con: duckdb.DuckDBPyConnection) -> tuple[int, int]:
    query = "select (select count(*) from marts.fct_procedure), (select count(*) from intermediate.int_sample_link)"
    procedures, samples = con.execute(query).fetchall()[0]
    return int(procedures), int(samples)


def _in_own_process(home: Path, what: str, days: int) -> dict[str, Any]:
    """Each night by itself: the highest memory of a process never falls again."""
    arguments = ("--folder", str(home), "--night", what, str(days))
    done = subprocess.run([sys.executable, __file__, *arguments], check=True, stdout=subprocess.PIPE, env=os.environ)
    return dict(json.loads(done.stdout.splitlines()[-1]))  # before it: the log of dbt


if __name__ == "__main__":
    main()
