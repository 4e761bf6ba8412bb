"""How long the project's own link and clock models take as a hospital grows, beside a plain range join.

Run with `python benchmarks/links.py`. Only measuring lives here: the SQL is what dbt compiles from dbt_project,
the tables that it reads are synthetic, and no answer is judged (tests and `doseledger score` do that).
"""

from __future__ import annotations

import argparse
import functools
import importlib.util
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb

from orchestration.publication.build_record import set_run

THREADS = 2
MEMORY = "3GB"  # of DuckDB; the process needs some more
DATABASE = "hospital.duckdb"
PROJECT = Path(__file__).resolve().parents[1] / "dbt_project"
# In the order in which dbt builds them. What they read is made here.
LINK_MODELS = (
    *("int_procedure_clock", "int_beam_on", "int_badge_hour", "int_sample_room", "int_room_timeline"),
    *("int_event_interval", "int_window_interval", "int_room_interval"),
    "int_sample_link",
)
CLOCK_MODELS = ("int_badge_hour", "int_sample_room", "int_clock_beam", "int_clock_sample")

# A busy hospital: per room eight procedures of twenty events a day, a badge on the C-arm and two worn in every other
# procedure, a tenth of these at readers that name no hub, every fifth room with two planes. So 500 samples a procedure.
PROCEDURES_PER_ROOM = 2000
PROCEDURES_PER_DAY = 8
HOSPITAL = """
create schema intermediate;
create table intermediate.int_procedure as
select
    md5(cast(i as varchar)) as procedure_id, 'S' || i as study_key, '1.2.840.' || i as study_instance_uid,
    'ROOM' || (i % $rooms) as room_id, started_at, started_at + interval 55 minute as ended_at,
    cast(started_at as date) as procedure_date, 20 as irradiation_events, i as no
from (
    select
        i, make_timestamptz(epoch_us(timestamptz '2023-01-02 07:00:00+00') + 1000000 * (
            i // $rooms // $per_day * 86400 + i // $rooms % $per_day * 3900 + cast(hash(i) % 300 as bigint)
        )) as started_at
    from range($procedures) as procedures (i)
);
create table intermediate.int_event as
select
    '1.2.826.0.1.3680043.8.498.' || hash(no, k, 7) || hash(k, no) || '.' || k as irradiation_event_uid,
    study_key, room_id, no, k, cast(started_at as date) as report_day,
    case when no % $rooms % 5 != 4 then 'single' when k % 2 = 0 then 'A' else 'B' end as plane,
    make_timestamptz(epoch_us(started_at) + 1000000 * (
        case when no % $rooms % 5 = 4 then k // 2 * 2 else k end * 150 + cast(hash(no, k) % 100 as bigint))
    ) as started_at,
    cast(5 + hash(k, no, 3) % 16 as decimal(18, 6)) as duration_s
from intermediate.int_procedure cross join range(20) as events (k);
create table intermediate.int_clock_offset as
select distinct
    room_id, procedure_date as offset_date, cast(0.25 as decimal(18, 6)) as offset_s,
    cast(0.6 as decimal(18, 6)) as uncertainty_s, 'cross_correlation' as offset_method, 0 as unknown_days
from intermediate.int_procedure;
create table intermediate.int_logbook as
select procedure_id, procedure_date, 'OP' || badge || room_id as operator_id, 'other' as role
from intermediate.int_procedure cross join range(1, 3) as badges (badge);
create table intermediate.int_clock_day as
select distinct
    procedure_date, procedure_date - 1 as from_date, procedure_date + 1 as to_date, true as is_stale
from intermediate.int_procedure;
create schema staging;
create table staging.stg_source as select 'rates' as source_id, 1 as sample_seconds;
create table intermediate.int_dose_evidence as
select
    ((no * 20 + k) * 20 + second) * 4 + badge as dose_key, 'rates' as source_id, 'rate_samples' as layout,
    'hp10' as quantity,
    room_id || '-B' || badge as dosimeter_serial,
    case when badge > 0 then 'OP' || badge || room_id end as operator_id,
    if(badge = 0, 'c_arm', 'over_apron_collar') as worn_at, case when badge = 0 then room_id end as c_arm_room_id,
    case when badge = 0 or hash(room_id, badge) % 10 > 0 then room_id end as evident_room_id,
    'room' as clock_basis, cast(null as varchar) as excluded_reason, cast(null as varchar) as token,
    cast(null as varchar) as hub, false as is_gap, false as is_not_occupational,
    cast(started_at as date) as measured_date,
    make_timestamptz((epoch_us(started_at) // 1000000 + second) * 1000000) as started_at,
    make_timestamptz((epoch_us(started_at) // 1000000 + second + 1) * 1000000) as ended_at,
    cast(0.05 as decimal(18, 9)) as dose_usv,
    hash(dosimeter_serial, operator_id, measured_date, evident_room_id) as sample_group
from intermediate.int_event cross join range(20) as seconds (second) cross join range(3) as badges (badge)
where second < duration_s and (badge = 0 or hash(no, badge) % 100 < 50);
create table intermediate.int_link_day as
select distinct measured_date, [measured_date] as neighbour_dates from intermediate.int_dose_evidence;
create table intermediate.int_beam_day as
select distinct report_day, [report_day] as reached_days from intermediate.int_event;
-- A build takes days by the block (macros/incremental_by_date.sql); here all are one.
create temporary table batch_date as
select measured_date as part from intermediate.int_link_day union select report_day from intermediate.int_beam_day;
"""
# What one would write first: every sample against every event of the room, and the procedure of the first that fits.
PLAIN = """
select samples.dose_key, min(beam_on.procedure_id) as procedure_id
from intermediate.int_dose_evidence as samples
inner join intermediate.int_beam_on as beam_on
    on
        samples.evident_room_id = beam_on.room_id
        and samples.started_at < beam_on.ended_at
        and samples.ended_at > beam_on.started_at
where beam_on.clock_basis = 'room'
group by samples.dose_key
"""


@dataclass(frozen=True)
class Figures:
    """One row of the growth table.

    Attributes:
        procedures, samples: size of the hospital.
        links_s, links_cpu_s: wall and processor seconds from evidence to links, all models.
        plain_s: wall seconds of the plain range join; None: given up after the time allowed.
        peak_gb: highest resident memory of the process until the links were made, GB.
        share_linked: links of kind event over samples, so that nobody measures an empty join.
    """

    procedures: int
    samples: int
    links_s: float
    links_cpu_s: float
    plain_s: float | None
    peak_gb: float
    share_linked: float


def main() -> None:
    """Measure, print the growth table, and write it as JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--procedures", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--plain-seconds", type=float, default=120, help="when to give the plain join up")
    parser.add_argument("--json", type=Path, help="write the figures here, too")
    parser.add_argument("--compiled", type=Path, help=argparse.SUPPRESS)  # one size, in a process of its own
    arguments = parser.parse_args()
    if arguments.compiled:
        figures = measure_links(arguments.procedures[0], arguments.compiled, arguments.plain_seconds)
        json.dump(asdict(figures), sys.stdout)
        return
    with tempfile.TemporaryDirectory() as folder:
        compiled = compile_models(Path(folder))
        rows = [_in_own_process(size, compiled, arguments.plain_seconds) for size in arguments.procedures]
        offsets = measure_offsets(compiled)
    print(
        f"{'procedures':>10} {'samples':>11} {'links':>9} {'(CPU)':>9} {'plain join':>11} {'memory':>8} {'linked':>7}"
    )
    for row in rows:
        plain = f"{row['plain_s']:9.1f} s" if row["plain_s"] is not None else f"> {arguments.plain_seconds:7.0f} s"
        print(
            f"{row['procedures']:>10} {row['samples']:>11} {row['links_s']:7.1f} s {row['links_cpu_s']:7.1f} s "
            f"{plain} {row['peak_gb']:5.2f} GB {row['share_linked']:7.1%}"
        )
    print(
        f"offsets of {offsets['room_days']} room-days, {offsets['samples']} samples: {offsets['seconds']:.1f} s "
        f"({offsets['cpu_seconds']:.1f} s CPU)"
    )
    if arguments.json:
        arguments.json.write_text(json.dumps({"links": rows, "offsets": offsets}, indent=2), encoding="utf-8")


def measure_links(procedures: int, compiled: Path, plain_seconds: float) -> Figures:
    """Make one synthetic hospital, run the compiled link models on it, then the plain join."""
    with _hospital(procedures, max(2, procedures // PROCEDURES_PER_ROOM)) as con:
        started, started_cpu = time.perf_counter(), time.process_time()
        _build(con, compiled, LINK_MODELS)
        links_s, links_cpu_s = time.perf_counter() - started, time.process_time() - started_cpu
        peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        samples, linked = _one(
            con, "select count(*), count(*) filter (where disposition = 'event') from intermediate.int_sample_link"
        )
        plain_s = _seconds(con, PLAIN, plain_seconds)
    return Figures(procedures, samples, links_s, links_cpu_s, plain_s, peak_gb, linked / samples)


def measure_offsets(compiled: Path, rooms: int = 5, days: int = 274) -> dict[str, Any]:
    """Estimate the offset of every room and day, as the dbt model does it, from the signals that SQL hands it."""
    match, estimate = (
        _module(PROJECT / "models" / "intermediate" / "clocks" / f"{name}.py")
        for name in ("int_clock_match", "int_clock_estimate")
    )
    # The published study's size: 3373 procedures in 5 rooms and 9 months are two or three a room and day.
    with _hospital(rooms * days * 3, rooms, per_day=3) as con:
        _build(con, compiled, CLOCK_MODELS)
        started, started_cpu = time.perf_counter(), time.process_time()
        con.register("matches", match.model(_Dbt(con), con))
        con.execute("create table intermediate.int_clock_match as from matches")
        table = estimate.model(_Dbt(con), con)
        seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - started_cpu
        samples = _one(con, "select count(*) from intermediate.int_clock_sample")[0]
    return {"room_days": table.num_rows, "samples": samples, "seconds": seconds, "cpu_seconds": cpu_seconds}


def compile_models(folder: Path) -> Path:
    """Where the SQL is that dbt would run, one file a model, for a database called like ours."""
    with duckdb.connect(folder / DATABASE) as con:
        set_run(con, date(2030, 12, 31), may_become_current=True)
    done = subprocess.run(
        [
            *(str(Path(sys.executable).with_name("dbt")), "compile", "--select", *LINK_MODELS, *CLOCK_MODELS),
            *("--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT)),
            *("--target-path", str(folder), "--log-path", str(folder), "--no-send-anonymous-usage-stats"),
        ],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "DOSELEDGER_BUILD_DB": str(folder / DATABASE)},
    )
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    return folder / "compiled" / "doseledger" / "models"


@dataclass(frozen=True)
class _Dbt:
    """As much of dbt's context as a Python model uses."""

    con: duckdb.DuckDBPyConnection
    this: str = "intermediate.nothing_kept"

    def ref(self, name: str) -> duckdb.DuckDBPyRelation:
        return self.con.table(f"intermediate.{name}")

    def config(self, **_: object) -> None:
        return None


def _in_own_process(procedures: int, compiled: Path, plain_seconds: float) -> dict[str, Any]:
    """Each size by itself: the highest memory of a process never falls again."""
    arguments = ("--procedures", str(procedures), "--compiled", str(compiled), "--plain-seconds", str(plain_seconds))
    done = subprocess.run([sys.executable, __file__, *arguments], check=True, stdout=subprocess.PIPE)
    return dict(json.loads(done.stdout))


@contextmanager
def _hospital(procedures: int, rooms: int, per_day: int = PROCEDURES_PER_DAY) -> Iterator[duckdb.DuckDBPyConnection]:
    with tempfile.TemporaryDirectory() as folder, duckdb.connect(str(Path(folder) / DATABASE)) as con:
        con.execute(f"set threads = {THREADS}; set memory_limit = '{MEMORY}'; set TimeZone = 'UTC'")
        con.execute(f"set temp_directory = '{folder}'; set preserve_insertion_order = false")
        sizes = {"$procedures": procedures, "$rooms": rooms, "$per_day": per_day}
        con.execute(functools.reduce(lambda query, size: query.replace(size[0], str(size[1])), sizes.items(), HOSPITAL))
        con.execute("checkpoint")
        yield con


def _build(con: duckdb.DuckDBPyConnection, compiled: Path, models: Sequence[str]) -> None:
    for name in models:
        query = next(compiled.rglob(f"{name}.sql")).read_text(encoding="utf-8")
        started = time.perf_counter()
        con.execute(f"create table intermediate.{name} as {query}")
        print(f"{name}: {time.perf_counter() - started:.1f} s", file=sys.stderr)


def _seconds(con: duckdb.DuckDBPyConnection, query: str, allowed_s: float) -> float | None:
    alarm = threading.Timer(allowed_s, con.interrupt)
    alarm.start()
    started = time.perf_counter()
    try:
        con.execute(f"create table plain as {query}")
    except duckdb.InterruptException:
        return None
    finally:
        alarm.cancel()
    return time.perf_counter() - started


def _one(con: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    row = con.execute(query).fetchone()
    assert row is not None  # noqa: S101 - an aggregate has one row
    return row


def _module(path: Path) -> Any:  # noqa: ANN401 - a module
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None  # noqa: S101 - the path is a Python file
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main()
