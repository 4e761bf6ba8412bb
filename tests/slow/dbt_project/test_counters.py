"""Counters from bytes to ledger: corrections, resets, spikes and gaps, in any files and sources.

Real files are read by the real loader; the models run as dbt compiled them. Steps and segments are computed once more
here, by a loop over the readings that shares nothing with the SQL.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.compiled_models import compiled_models
from support.small_site import DOSIMETERS, SHARED, make_site, run, the_key, write

from ingest.raw.build_db import open_build
from ingest.raw.loader import load_dosimeters
from ingest.raw.reference_load import load_reference
from ingest.site.config import load_site
from orchestration.console.check_badges import Days, unclear_badges
from orchestration.dbt_build import build_tables

CASE = SHARED / "cases/03-counter-dip/site"
BEGIN = datetime(2024, 10, 26, 20)  # noqa: DTZ001 - the badges' clock, through the night in which summer time ends
DOUBLED_HOUR = datetime(2024, 10, 27, 2)  # noqa: DTZ001
SOURCES = {"log": "counter_log", "ward_log": "counter_log", "hours": "hourly_totals"}
DESCRIPTION = """\
source_id: {source_id}
layout: {layout}
encoding: utf-8
delimiter: ";"
decimal: "."
timezone: Europe/Madrid
dst: true
datetime_format: iso8601
counter: {counter}
columns: {{dosimeter_serial: Badge, started_at: Time, hp10: Total}}
units: {{hp10: uSv}}
"""
RAW_OF_FILES = ("file", "file_stat", "dose_record", "rejected_row", "rejected_dose", "file_statement")
ALL_DAYS = """
create or replace temporary table batch_date as
select date '0001-01-01' as part union all select unnest(range(date '2024-10-01', date '2024-11-30', interval 1 day))
"""
BALANCE = """
select source_id, dosimeter_serial, readings, first_usv, segments, segment_rise_usv, ingested_usv, imbalance_usv
from ledger.counter_balance
"""
STEPS = """
select versions.source_id, doses.dosimeter_serial, versions.started_at, doses.dose_usv
from intermediate.int_derived_dose as doses
inner join intermediate.int_record_version as versions using (load_seq, line, quantity)
"""
FINDINGS = "select threshold_name, detail, period, finding_value from intermediate.int_quality_counter"


@dataclass(frozen=True)
class Reading:
    """One reading of a counter."""

    source_id: str
    badge: str
    at: datetime
    value: Decimal


@dataclass(frozen=True)
class Warehouse:
    """A site of three counter sources with an empty warehouse."""

    root: Path
    models: list[tuple[str, str]] = field(repr=False)

    def load(self, files: Sequence[Sequence[Reading]]) -> None:
        """Loads an export for each of these lists of readings (of one source each) and builds the tables."""
        shutil.rmtree(self.root / "inbox", ignore_errors=True)
        for number, readings in enumerate(files):
            lines = [f"{reading.badge};{reading.at.isoformat()};{reading.value}" for reading in readings]
            name = f"inbox/dosimeters/{readings[0].source_id}/{number}.csv"
            write(self.root, name, "\n".join(["Badge;Time;Total", *lines, ""]))
        site = load_site(self.root)
        with open_build(site, the_key()) as con:
            for table in RAW_OF_FILES:
                con.execute(f"delete from raw.{table}")
            load_reference(con, site)
            load_dosimeters(con, site, the_key())
            con.execute(ALL_DAYS)
            for name, sql in self.models:
                con.execute(f"create or replace table {name} as {sql}")

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Rows of a table."""
        with duckdb.connect(load_site(self.root).build_db, read_only=True) as con:
            con.execute("set TimeZone = 'UTC'")
            return con.execute(query).fetchall()


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    folder = tmp_path_factory.mktemp("counters")
    root = make_site(folder / "site", dosimeters=DOSIMETERS)
    (root / "sources/rates.yaml").unlink()
    for source_id, layout in SOURCES.items():
        counter = "cumulative" if layout == "hourly_totals" else "increment"
        text = DESCRIPTION.format(source_id=source_id, layout=layout, counter=counter)
        write(root, f"sources/{source_id}.yaml", text)
    site = load_site(root)
    with open_build(site, the_key()) as con:
        load_reference(con, site)
    folders = ("files", "badges", "links")
    places = (*(f"intermediate/{name}" for name in folders), "ledger", "alerts/findings/int_quality_counter")
    yield Warehouse(root, compiled_models(site.build_db, date(2024, 10, 31), places))


def series(source_id: str, *values: float | str, badge: str = "B1", step: int = 1) -> list[Reading]:
    """Readings every ``step`` hours from the morning of 20 October."""
    first = datetime(2024, 10, 20, 8)  # noqa: DTZ001 - the badges' clock
    return [
        Reading(source_id, badge, first + timedelta(hours=step * nth), Decimal(str(value)))
        for nth, value in enumerate(values)
    ]


# --- examples ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source_id", SOURCES)
@pytest.mark.parametrize(
    ("values", "rise", "segments", "dips"),
    [
        ((1500.0, 1500.4, 1500.3, 1500.9), "0.9", 1, 1),
        ((10, 6, 9, 12), "12", 2, 0),
        ((10, 9, 12), "2", 1, 1),  # a tenth is a correction
        ((10, 8.9, 12), "12", 2, 0),
        ((100, 95, 101), "1", 1, 1),  # 5 µSv are
        ((100, 94.9, 101), "101", 2, 0),
        ((100, 99, 98, 99.5, 100.5), "0.5", 1, 2),  # the highest reading counts, not the last before the fall
        ((100, 0, 0, 3), "3", 2, 0),
        ((7,), "0", 1, 0),
        ((0.05, 0.045, 0.05, 0.06), "0.01", 1, 1),
    ],
)
def test_a_small_fall_is_a_correction_any_other_a_reset(
    warehouse: Warehouse, source_id: str, values: tuple[float, ...], rise: str, segments: int, dips: int
) -> None:
    warehouse.load([series(source_id, *values)])
    ((_, _, readings, first, found, *sums),) = warehouse.rows(BALANCE)
    assert (readings, first, found) == (len(values), Decimal(str(values[0])), segments)
    assert sums == [Decimal(rise), Decimal(rise), 0]
    assert warehouse.rows("select count(*) from ledger.oddity where code = 'counter_dip'") == [(dips,)]


def test_the_oddity_of_a_correction_names_file_line_and_values(warehouse: Warehouse) -> None:
    warehouse.load([series("log", 1500.0, 1500.4, 1500.3, 1500.9)])
    ((path, line, field, message),) = warehouse.rows("select path, line, field, message from ledger.oddity")
    assert (path, line, field) == ("inbox/dosimeters/log/0.csv", 4, "hp10")
    assert "badge B1 falls from 1500.4 to 1500.3 µSv" in message


def test_two_counters_of_one_serial_never_make_steps_of_each_other(warehouse: Warehouse) -> None:
    warehouse.load([series("log", 0.2, 1.0, 2.0, step=2), series("ward_log", 1000, 1000, 1000, step=3)])
    assert sorted((source, rise) for source, _, _, _, _, rise, *_ in warehouse.rows(BALANCE)) == [
        ("log", Decimal("1.8")),
        ("ward_log", Decimal(0)),
    ]


@pytest.mark.parametrize(
    ("assigned", "reasons"),
    [
        ("OP1,,2024-01-01,,", {"log": "unassigned_badge", "ward_log": "unassigned_badge"}),
        ("OP1,,2024-01-01,,log ward_log", {"log": "no_procedure", "ward_log": "no_procedure"}),
        ("OP1,,2024-01-01,,log", {"log": "no_procedure", "ward_log": "unassigned_badge"}),
    ],
)
def test_one_serial_in_two_counters_is_nobodys_until_an_assignment_names_them(
    warehouse: Warehouse, assigned: str, reasons: dict[str, str]
) -> None:
    header = "dosimeter_serial,worn_at,operator_id,room_id,valid_from,valid_to,source_id\n"
    write(warehouse.root, "reference/dosimeters.csv", f"{header}B1,over_apron_collar,{assigned}\n")
    warehouse.load([series("log", 0.2, 1.0, 2.0, step=2), series("ward_log", 1000, 1000, 1000, step=3)])
    write(warehouse.root, "reference/dosimeters.csv", DOSIMETERS)
    unlinked = "select source_id, reason, sum(hp10_usv) from ledger.unlinked_dose group by all"
    found = {source: (reason, dose) for source, reason, dose in warehouse.rows(unlinked)}
    assert found == {"log": (reasons["log"], Decimal("1.8")), "ward_log": (reasons["ward_log"], Decimal(0))}
    oddities = warehouse.rows("select message from ledger.oddity where code = 'unclear_badge'")
    assert len(oddities) == (set(reasons.values()) == {"unassigned_badge"})


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_check_and_the_ledger_name_the_same_unclear_badges(warehouse: Warehouse, data: st.DataObject) -> None:
    days = st.sets(st.integers(0, 5))
    present = {(source, badge): data.draw(days) for source in SOURCES for badge in ("B1", "B2")}
    header = "dosimeter_serial,worn_at,operator_id,room_id,valid_from,valid_to,source_id\n"
    row = st.tuples(st.sampled_from(["B1", "B2"]), st.integers(0, 5), st.sampled_from(["", "log", "hours ward_log"]))
    lines = "".join(
        f"{badge},over_apron_collar,OP1,,2024-10-{20 + first},,{sources}\n"
        for badge, first, sources in data.draw(st.lists(row, max_size=3))
    )
    write(warehouse.root, "reference/dosimeters.csv", header + lines)
    files = [
        [Reading(source, badge, datetime(2024, 10, 20 + day, 9), Decimal(day)) for day in sorted(nth)]  # noqa: DTZ001
        for (source, badge), nth in present.items()
        if nth
    ]
    warehouse.load(files)
    site = load_site(warehouse.root)
    write(warehouse.root, "reference/dosimeters.csv", DOSIMETERS)
    stated: Days = {}
    for (source, badge), nth in present.items():
        stated.setdefault(badge, {})[source] = {date(2024, 10, 20 + day) for day in nth}
    named = {str(problem) for problem in unclear_badges(stated, site.sources, site.reference["dosimeters"].rows)}
    pairs = warehouse.rows(
        "select distinct dosimeter_serial, least(source_id, other), greatest(source_id, other) from ("
        "select *, unnest(string_split(other_source_ids, ' ')) as other from intermediate.int_unclear_badge)"
    )
    assert len(named) == len(pairs)
    for serial, one, other in pairs:
        assert any(f"badge {serial} is in exports of the sources {one} and {other} " in text for text in named)


@pytest.mark.parametrize(
    ("values", "findings"),
    [
        ((10, 6, 9, 12), [("counter_reset", 60.0)]),
        ((10, 3, 9), [("counter_reset", 30.0)]),  # compared with its threshold in finding_data_quality
        ((10, 500, 10.5), [("counter_reset", 2.1), ("counter_spike", 490.0)]),
        ((10, 500, 9.5), [("counter_reset", 1.9), ("counter_spike", 490.0)]),  # back but for a correction
        ((10, 500, 3), [("counter_reset", 0.6)]),  # a reset after a dose
        ((0, 5, 0, 4, 0), [("counter_reset", 0.0), ("counter_reset", 0.0)]),
        ((100, 101, 100.5), []),
    ],
)
def test_doubtful_readings_are_findings(
    warehouse: Warehouse, values: tuple[float, ...], findings: list[tuple[str, float]]
) -> None:
    warehouse.load([series("log", *values)])
    found = warehouse.rows(FINDINGS)
    assert sorted((name, round(value, 6)) for name, _, _, value in found) == findings
    assert {detail for _, detail, _, _ in found} <= {"log/B1/hp10"}


# --- properties ----------------------------------------------------------------------------------------------------


@st.composite
def counters(draw: st.DrawFn) -> list[Reading]:
    """Counters of two badges in every source: rises, small and large falls, spikes, gaps; each time once."""
    readings = []
    for source_id, badge in itertools.product(SOURCES, ("B1", "B2")):
        minutes = 60 if SOURCES[source_id] == "hourly_totals" else 20
        value = draw(st.decimals(0, 2000, places=3))
        places = draw(st.sets(st.integers(0, 12 * 60 // minutes), max_size=9))
        for place in sorted(places):
            readings.append(Reading(source_id, badge, BEGIN + timedelta(minutes=place * minutes), value))
            change = draw(
                st.one_of(
                    st.just(Decimal(0)),
                    st.decimals(0, 20, places=3),
                    st.decimals("-6", 0, places=3),
                    st.just(-value),
                    st.decimals(-1000, 1000, places=3),
                )
            )
            value = max(Decimal(0), value + change)
    return readings


@st.composite
def exports(draw: st.DrawFn) -> tuple[list[Reading], list[list[Reading]]]:
    """Readings, and the same readings in up to three overlapping files a source."""
    readings = draw(counters())
    files: dict[tuple[str, int], list[Reading]] = {}
    for reading in readings:
        for number in draw(st.sets(st.integers(0, 2), min_size=1, max_size=2)):
            files.setdefault((reading.source_id, number), []).append(reading)
    return readings, [draw(st.permutations(part)) for part in files.values()]


def place_in_time(reading: Reading) -> tuple[datetime, Decimal]:
    """In the doubled hour no time says which pass it is: by value."""
    hour = reading.at.replace(minute=0, second=0)
    return (hour if hour == DOUBLED_HOUR else reading.at, reading.value)


def recomputed(readings: list[Reading]) -> tuple[int, list[Decimal]]:
    """Number of segments, and the step of each reading but the first."""
    before = highest = readings[0].value
    segments, steps = 1, []
    for reading in readings[1:]:
        fall = before - reading.value
        if fall > 0 and (fall * 10 > before or fall > 5):
            segments, highest = segments + 1, Decimal(0)
        steps.append(max(Decimal(0), reading.value - highest))
        before, highest = reading.value, max(highest, reading.value)
    return segments, steps


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(export=exports())
def test_steps_and_segments_are_those_of_a_recomputation(
    warehouse: Warehouse, export: tuple[list[Reading], list[list[Reading]]]
) -> None:
    readings, files = export
    warehouse.load(files)
    balances, all_steps = {}, []
    for key, group in itertools.groupby(readings, lambda reading: (reading.source_id, reading.badge)):
        ordered = sorted(group, key=place_in_time)
        segments, steps = recomputed(ordered)
        balances[key] = (len(ordered), ordered[0].value, segments, sum(steps), sum(steps), 0)
        all_steps += [(*key, step) for step in steps]
    assert {(source, badge): tuple(row) for source, badge, *row in warehouse.rows(BALANCE)} == balances
    found = [(source, badge, dose) for source, badge, _, dose in warehouse.rows(STEPS)]
    assert sorted(found) == sorted(all_steps)
    assert warehouse.rows("select * from ledger.dose_balance where imbalance_usv != 0") == []


# --- a whole site --------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not CASE.is_dir(), reason="the shared cases are not here")
def test_the_shared_case_of_a_dip(tmp_path: Path) -> None:
    root = Path(shutil.copytree(CASE, tmp_path / "site"))
    run(root)
    build_db = load_site(root).build_db
    build = build_tables(build_db, date(2024, 12, 31))
    assert build.failures == []
    with duckdb.connect(str(build_db), read_only=True) as con:
        assert con.execute("select sum(ingested_usv) from ledger.dose_balance").fetchall() == [(Decimal("0.9"),)]
        assert con.execute("select segments, imbalance_usv from ledger.counter_balance").fetchall() == [(1, 0)]
        assert con.execute("select code, line from ledger.oddity where code = 'counter_dip'").fetchall() == [
            ("counter_dip", 4)
        ]
