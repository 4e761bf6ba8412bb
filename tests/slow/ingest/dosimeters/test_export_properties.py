"""Properties of exports from bytes to ledger: how rows are divided into files, and when these arrive, changes nothing.

Real files are read by the real loader; the badge, link and ledger models run as dbt compiled them, on a warehouse that
one dbt build made. There are no dose reports here, so every dose must come out as unlinked or covered.
"""

from __future__ import annotations

import itertools
import shutil
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.compiled_models import compiled_models
from support.small_site import DOSIMETERS, make_site, the_key, write

from ingest.raw.build_db import open_build
from ingest.raw.loader import load_dosimeters
from ingest.raw.reference_load import load_reference
from ingest.site.config import load_site

BEGIN = datetime(2024, 10, 26, 22)  # noqa: DTZ001 - the badges' clock, through the night in which summer time ends
NINTH = Decimal("1e-9")
SOURCES = {
    "rates": ("rate_samples", "uSv/h", "sample_seconds: 1"),
    "hours": ("hourly_totals", "mSv", "counter: increment"),
    "counts": ("hourly_totals", "uSv", "counter: cumulative"),
    "log": ("counter_log", "nSv", ""),
}
DESCRIPTION = """\
source_id: {source_id}
layout: {layout}
encoding: utf-8
delimiter: ";"
decimal: ","
timezone: Europe/Madrid
dst: true
datetime_format: "%d.%m.%Y %H:%M:%S"
columns: {{dosimeter_serial: Badge, started_at: Time, hp10: Dose}}
units: {{hp10: {unit}}}
below_lod_tokens: [M]
{more}
"""
RAW_OF_FILES = ("file", "file_stat", "dose_record", "rejected_row")
DOSES = "select columns(c -> c not in ('load_seq', 'line', 'dose_key')) from intermediate.int_dose"
# A build takes days by the block (dbt_project/macros/incremental_by_date.sql); here all are one, with those of no date.
ALL_DAYS = """
create or replace temporary table batch_date as
select date '0001-01-01' as part union all select unnest(range(date '2024-10-01', date '2024-11-30', interval 1 day))
"""
BALANCE = "from ledger.dose_balance"
UNLINKED = "from ledger.unlinked_dose"


@dataclass(frozen=True, order=True)
class Row:
    """One row of an export: what makes it this measurement, and its value as text."""

    source_id: str
    badge: str
    at: datetime
    value: str

    @property
    def line(self) -> str:
        """As the export has it."""
        return f"{self.badge};{self.at:%d.%m.%Y %H:%M:%S};{self.value}\n"


@dataclass(frozen=True)
class Warehouse:
    """A site with an empty warehouse and the tables that are made anew for each inbox, in their order; views stand."""

    root: Path
    models: list[tuple[str, str]]

    def load(self, *runs: Sequence[tuple[str, str, Sequence[Row]]]) -> dict[str, list[tuple[Any, ...]]]:
        """What the tables hold after these runs; a run is the files (source, name, rows) that are new in it."""
        shutil.rmtree(self.root / "inbox", ignore_errors=True)
        site = load_site(self.root)
        with open_build(site, the_key()) as con:
            for table in RAW_OF_FILES:
                con.execute(f"delete from raw.{table}")
            load_reference(con, site)
            for files in runs:
                for source_id, name, rows in files:
                    text = "Badge;Time;Dose\n" + "".join(row.line for row in rows)
                    write(self.root, f"inbox/dosimeters/{source_id}/{name}.csv", text)
                load_dosimeters(con, site, the_key())
            con.execute(ALL_DAYS)
            for name, sql in self.models:
                con.execute(f"create or replace table {name} as {sql}")
            return {query: sorted(con.execute(query).fetchall(), key=repr) for query in (DOSES, BALANCE, UNLINKED)}


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    folder = tmp_path_factory.mktemp("properties")
    root = make_site(folder / "site", dosimeters=DOSIMETERS.replace("2024-01-01", "2024-10-27"))
    (root / "sources/rates.yaml").unlink()
    for source_id, (layout, unit, more) in SOURCES.items():
        text = DESCRIPTION.format(source_id=source_id, layout=layout, unit=unit, more=more)
        write(root, f"sources/{source_id}.yaml", text)
    site = load_site(root)
    with open_build(site, the_key()) as con:
        load_reference(con, site)
    places = ("intermediate/files", "intermediate/badges", "intermediate/links", "ledger")
    yield Warehouse(root, compiled_models(site.build_db, date(2024, 10, 31), places))


# --- exports -------------------------------------------------------------------------------------------------------

NUMBER = st.decimals(0, 9999, places=2).map(lambda value: str(value).replace(".", ","))


@st.composite
def measurements(draw: st.DrawFn) -> list[Row]:
    """Rows of every source, each measurement once, in the order of time."""
    seconds = {"rates": 1, "hours": 3600, "counts": 3600, "log": 61}
    rows: list[Row] = []
    for source_id, step in seconds.items():
        places = st.tuples(st.sampled_from(["B1", "B2", "REF1"]), st.integers(0, 8 * 3600 // step - 1))
        for badge, place in draw(st.lists(places, unique=True, max_size=12)):
            # An increment and a counter of one badge in one layout would be two opinions on one measurement.
            name = f"{badge}C" if source_id == "counts" else badge
            value = draw(st.one_of(NUMBER, st.just("M")) if source_id == "hours" else NUMBER)
            rows.append(Row(source_id, name, BEGIN + timedelta(seconds=place * step), value))
    return sorted(rows)


@st.composite
def arrangements(draw: st.DrawFn) -> tuple[list[Row], list[list[tuple[str, str, list[Row]]]]]:
    """Rows, and the same rows in up to four overlapping files a source, which arrive in up to three runs."""
    rows = draw(measurements())
    runs: list[list[tuple[str, str, list[Row]]]] = [[], [], []]
    for source_id in SOURCES:
        mine = [row for row in rows if row.source_id == source_id]
        files: dict[int, list[Row]] = defaultdict(list)
        for row in mine:
            for number in draw(st.sets(st.integers(0, 3), min_size=1, max_size=3)):
                files[number].append(row)
        for number, part in files.items():
            shuffled = draw(st.permutations(part))
            runs[draw(st.integers(0, 2))].append((source_id, f"{number}", shuffled))
    return rows, runs


def whole(rows: Sequence[Row]) -> list[tuple[str, str, list[Row]]]:
    """One file a source, in the order of time."""
    return [(source_id, "all", list(part)) for source_id, part in itertools.groupby(rows, lambda row: row.source_id)]


def exact(source_id: str, text: str) -> Decimal:
    """A cell in microsievert, by another way than the reader's: whole nanosieverts as fractions."""
    factor = {"rates": Fraction(1, 3600), "hours": Fraction(1000), "counts": Fraction(1), "log": Fraction(1, 1000)}
    value = Fraction(text.replace(",", ".")) * factor[source_id]
    billionths = value * 10**9
    return Decimal(round(billionths)).scaleb(-9)  # round() of a Fraction is half-even


# --- properties ----------------------------------------------------------------------------------------------------

FEW = settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)


@FEW
@given(arrangement=arrangements())
def test_any_division_into_files_and_any_arrival_gives_the_same_tables(
    warehouse: Warehouse, arrangement: tuple[list[Row], list[list[tuple[str, str, list[Row]]]]]
) -> None:
    rows, runs = arrangement
    assert warehouse.load(*runs) == warehouse.load(whole(rows))


@FEW
@given(rows=measurements(), data=st.data())
def test_the_newest_value_counts_and_an_older_one_leaves_no_trace_in_the_ledger(
    warehouse: Warehouse, rows: list[Row], data: st.DataObject
) -> None:
    corrected = [Row(row.source_id, row.badge, row.at, data.draw(NUMBER)) for row in rows if data.draw(st.booleans())]
    final = {(row.source_id, row.badge, row.at): row for row in [*rows, *corrected]}
    assert warehouse.load(whole(rows), [(source, "corrected", part) for source, _, part in whole(corrected)]) == (
        warehouse.load(whole(sorted(final.values())))
    )


@FEW
@given(rows=measurements())
def test_sums_are_exact_and_every_dose_has_one_fate(warehouse: Warehouse, rows: list[Row]) -> None:
    increments = [row for row in rows if row.source_id in ("rates", "hours")]
    ingested: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for row in increments:
        ingested[row.source_id, row.badge] += Decimal(0) if row.value == "M" else exact(row.source_id, row.value)
    warehouse.load(whole(rows))
    site = load_site(warehouse.root)
    with duckdb.connect(site.build_db, read_only=True) as con:
        found = {
            (source, badge): (total, imbalance)
            for source, badge, total, imbalance in con.execute(
                "select source_id, dosimeter_serial, sum(ingested_usv), max(abs(imbalance_usv)) "
                "from ledger.dose_balance group by all"
            ).fetchall()
        }
    assert {key: total for key, (total, _) in found.items() if key[0] in ("rates", "hours")} == ingested
    assert all(imbalance == 0 for _, imbalance in found.values())
