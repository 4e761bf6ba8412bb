"""Every row and microsievert of every export has the disposition that the contract names, whatever the files.

Random exports of all layouts go through the real loader and the badge, link and ledger models as dbt compiled them.
What ``ledger.file_balance`` must then say is worked out here in plain Python (outputs.md#B1, inputs.md#I18).
"""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, NamedTuple
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from support.compiled_models import compiled_models
from support.small_site import make_site, run, the_key, write

from ingest.raw.build_db import open_build
from ingest.raw.reference_load import load_reference
from ingest.site.config import load_site

MADRID = ZoneInfo("Europe/Madrid")
AS_OF = (date(2024, 10, 27), date(2024, 11, 30))
PLACES = ("intermediate/files", "intermediate/badges", "intermediate/links", "ledger")
DISPOSITIONS = ("counted", "repeated", "replaced", "conflicting", "after_as_of", "rejected", "superseded", "withdrawn")
Quantity = Literal["hp10", "hp007", "hp3"]
ALL_DAYS = """
create or replace temporary table batch_date as
select date '0001-01-01' as part union all select unnest(range(date '2024-01-01', date '2025-01-01', interval 1 day))
"""


@dataclass(frozen=True)
class Source:
    """What is described of a source; ``usv`` is what a number of its files means in microsievert."""

    layout: str
    columns: tuple[str, ...]
    unit: str
    usv: Fraction
    more: str = ""

    @property
    def quantities(self) -> list[str]:
        """Those of which the files have a column."""
        return [column for column in self.columns if column in ("hp10", "hp007", "hp3")]

    def description(self, source_id: str) -> str:
        """Its YAML."""
        columns = ", ".join(f"{column}: {column}" for column in self.columns)
        units = ", ".join(f"{quantity}: {self.unit}" for quantity in self.quantities)
        return (
            f'source_id: {source_id}\nlayout: {self.layout}\nencoding: utf-8\ndelimiter: ";"\ndecimal: ","\n'
            f"timezone: Europe/Madrid\ndst: true\ndatetime_format: iso8601\n"
            f'null_tokens: [""]\nbelow_lod_tokens: [M]\nunused_tokens: [Unused]\n'
            f"columns: {{{columns}}}\nunits: {{{units}}}\n{self.more}\n"
        )


SOURCES = {
    "hours": Source(
        "hourly_totals",
        ("dosimeter_serial", "started_at", "hp10", "hp007", "hub"),
        "mSv",
        Fraction(1000),
        "counter: increment",
    ),
    "log": Source("counter_log", ("dosimeter_serial", "started_at", "hp10"), "uSv", Fraction(1)),
    "months": Source(
        "badge_periods", ("dosimeter_serial", "period_begin", "period_end", "hp10", "hp007"), "mSv", Fraction(1000)
    ),
    "rates": Source(
        "rate_samples",
        ("dosimeter_serial", "started_at", "hp10", "hp007", "hub"),
        "uSv/h",
        Fraction(10, 3600),
        "sample_seconds: 10",
    ),
    "stays": Source("sessions", ("dosimeter_serial", "started_at", "ended_at", "hp10", "hp3"), "uSv", Fraction(1)),
    "studies": Source(
        "procedure_totals",
        ("dosimeter_serial", "study_instance_uid", "accession_number", "started_at", "hp10"),
        "nSv",
        Fraction(1, 1000),
    ),
}
MILLI = Source(SOURCES["rates"].layout, SOURCES["rates"].columns, "mSv/h", Fraction(10000, 3600))

# --- what the contract says of a file's text --------------------------------------------------------------------------


@dataclass(frozen=True)
class Stated:
    """One row and quantity of a file; ``measurement`` is None in a row that cannot be read."""

    line: int
    quantity: str
    usv: Decimal | None
    measurement: tuple[object, ...] | None = None
    on: date | None = None
    is_doubled: bool = False
    hub: str = ""


def read(text: str, source: Source) -> list[Stated]:
    """What the rows of a file state."""
    found: list[Stated] = []
    occurrences: Counter[tuple[object, ...]] = Counter()
    for number, line in enumerate(text.splitlines()[1:], start=2):
        cells = line.split(";")
        if len(cells) != len(source.columns):
            found += [Stated(number, quantity, None) for quantity in source.quantities]
            continue
        row = dict(zip(source.columns, cells, strict=True))
        doses = {quantity: dose(row[quantity], source) for quantity in source.quantities}
        when = time_of(row, source.layout)
        is_refused = not row["dosimeter_serial"] or when is None or "unreadable" in doses.values()
        for quantity, value in doses.items():
            if value == "none":
                continue
            usv = value if isinstance(value, Decimal) else None
            if is_refused or when is None:
                found.append(Stated(number, quantity, usv))
                continue
            identity, on, is_doubled = when
            name = (row["dosimeter_serial"], quantity, identity)
            nth = occurrences[name] if is_doubled else 0
            occurrences[name] += 1
            found.append(Stated(number, quantity, usv, (*name, nth), on, is_doubled, row.get("hub", "")))
    return found


def dose(cell: str, source: Source) -> Decimal | Literal["none", "below", "unreadable"]:
    if cell in ("", "Unused"):
        return "none"
    if cell == "M":
        return "below"
    try:
        value = Fraction(cell.replace(",", ".")) * source.usv
    except ValueError:
        return "unreadable"
    if not 0 <= value <= 10_000_000:
        return "unreadable"
    return Decimal(round(value * 10**9)).scaleb(-9)  # round() of a Fraction is half-even


def instants(text: str) -> list[datetime]:
    """The moments that a local time can mean: none if it does not exist, two if it happens twice."""
    try:
        local = datetime.fromisoformat(text).replace(tzinfo=MADRID)
    except ValueError:
        return []
    both = {local.replace(fold=fold).astimezone(UTC) for fold in (0, 1)}
    return sorted(at for at in both if at.astimezone(MADRID).replace(tzinfo=None) == local.replace(tzinfo=None))


def time_of(row: Mapping[str, str], layout: str) -> tuple[object, date | None, bool] | None:
    """What names a measurement beside badge and quantity, its date, and whether its hour happens twice."""
    if layout == "badge_periods":
        begin, end = date.fromisoformat(row["period_begin"]), date.fromisoformat(row["period_end"])
        return ((begin, end), end, False) if begin <= end else None
    starts = instants(row["started_at"])
    if layout == "procedure_totals":
        named = row["study_instance_uid"] or row["accession_number"]
        if not named or (row["started_at"] and not starts):
            return None
        on = datetime.fromisoformat(row["started_at"]).date() if starts else datetime.now(MADRID).date()
        return named, on, False
    ends = instants(row["ended_at"]) if layout == "sessions" else starts
    if not starts or not ends or max(ends) < min(starts):
        return None
    return row["started_at"], datetime.fromisoformat(row["started_at"]).date(), len(starts) == 2


def has_lost_seconds(text: str, stated: Sequence[Stated]) -> bool:
    """More than 10 rows and more than 1 % that are at the time of an earlier row of their hub."""
    times = [(row.measurement, row.hub) for row in stated if row.measurement and not row.is_doubled]
    rows, repeating = len(times), len(times) - len(set(times))
    lines = text.splitlines()[1:]
    half = len(lines) // 2
    if len(lines) % 2 == 0 and lines[:half] == lines[half:]:
        rows, repeating = rows - rows // 2, repeating - rows // 2
    return repeating > 10 and 100 * repeating > rows


# --- what the contract says of files ----------------------------------------------------------------------------------


@dataclass
class Reading:
    """One reading of a file, with what became of each row and quantity (``fates``: disposition by place in stated)."""

    path: str
    sha256: str
    source_id: str
    stated: list[Stated]
    state: str
    has_rows: bool
    original: Reading | None = None
    fates: dict[int, str] = field(default_factory=dict)

    def row(self, quantity: str) -> tuple[object, ...]:
        """As ``ledger.file_balance`` must have it."""
        of_quantity = [(place, row) for place, row in enumerate(self.stated) if row.quantity == quantity]
        cells: list[object] = [len(of_quantity), sum((row.usv or Decimal(0) for _, row in of_quantity), Decimal(0))]
        for disposition in DISPOSITIONS:
            mine = [row for place, row in of_quantity if self.fates[place] == disposition]
            cells += [len(mine), sum((row.usv or Decimal(0) for row in mine), Decimal(0))]
        cells += [0, Decimal(0)]
        if self.source_id == "log":  # readings of a counter are no doses
            cells[1::2] = [None] * len(cells[1::2])
        return (self.path, self.sha256, self.source_id, quantity, *cells)


Runs = Sequence[Sequence[tuple[str, str, str]]]  # of each run the files that are new in it: source, name, text


def readings_of(runs: Runs, withdrawn: set[str], as_of: date, *, is_corrected: bool) -> list[Reading]:
    """Every reading of every file, in the order in which they count."""
    found: list[Reading] = []
    originals: dict[tuple[str, str], Reading] = {}
    for files in runs:
        for source_id, name, text in sorted(files):
            path, sha256 = f"inbox/dosimeters/{source_id}/{name}.csv", hashlib.sha256(text.encode()).hexdigest()
            corrected = MILLI if is_corrected and source_id == "rates" else None
            stated, has_rows = read(text, SOURCES[source_id]), text.count("\n") > 1
            if (source_id, sha256) in originals:
                original = originals[source_id, sha256]
                found.append(Reading(path, sha256, source_id, original.stated, "duplicate", has_rows, original))
            elif source_id == "rates" and has_lost_seconds(text, stated):
                stated = read(text, corrected) if corrected else stated  # what was refused is tried again
                found.append(Reading(path, sha256, source_id, stated, "rejected", has_rows))
            else:
                if corrected and sha256 not in withdrawn:
                    found.append(Reading(path, sha256, source_id, stated, "superseded", has_rows))
                    stated = read(text, corrected)
                found.append(Reading(path, sha256, source_id, stated, "loaded", has_rows))
                originals[source_id, sha256] = found[-1]
    for reading in found:
        if reading.sha256 in withdrawn:
            reading.state = "withdrawn"
    dispose(found, as_of)
    return found


def dispose(readings: Sequence[Reading], as_of: date) -> None:
    """Give every row its disposition: the first that fits."""
    competing: defaultdict[tuple[object, ...], list[Competitor]] = defaultdict(list)
    for order, reading in enumerate(readings):
        for place, row in enumerate(reading.stated):
            reading.fates[place] = early_fate(reading, row, as_of)
            if reading.fates[place] == "competes" and row.measurement:
                competing[reading.source_id, *row.measurement].append(Competitor(order, row, reading, place))
    for rows in competing.values():
        compare(rows)
    for reading in readings:
        if reading.original and reading.state == "duplicate":
            for place, fate in reading.original.fates.items():
                reading.fates[place] = "repeated" if fate in ("counted", "replaced", "conflicting") else fate


def early_fate(reading: Reading, row: Stated, as_of: date) -> str:
    """What is decided without any other row."""
    if reading.state in ("withdrawn", "superseded", "rejected"):
        return reading.state
    if row.measurement is None:
        return "rejected"
    if row.on is not None and row.on > as_of:
        return "after_as_of"
    return "competes" if reading.state == "loaded" else "as its original"


class Competitor(NamedTuple):
    """A row that states the same measurement as others, and where it is."""

    order: int
    row: Stated
    reading: Reading
    place: int


def compare(rows: Sequence[Competitor]) -> None:
    """The newest file decides, and of its rows the highest counts; of equal ones the first."""
    newest = max(one.order for one in rows)
    best = max((one.row for one in rows if one.order == newest), key=lambda row: (height(row), -row.line))
    for order, row, reading, place in rows:
        highest = max(height(one.row) for one in rows if one.order == order)
        if row is best:
            reading.fates[place] = "counted"
        elif row.usv == best.usv:
            reading.fates[place] = "repeated"
        else:
            reading.fates[place] = "conflicting" if height(row) < highest else "replaced"


def height(row: Stated) -> Decimal:
    """For comparing: below detection is lower than any number."""
    return Decimal(-1) if row.usv is None else row.usv


# --- the product ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Warehouse:
    """A site with an empty warehouse and the tables that are built for each example."""

    root: Path
    models: list[tuple[str, str]] = field(repr=False)

    def build(
        self, runs: Runs, withdrawn: set[str], *, is_corrected: bool
    ) -> tuple[list[tuple[Any, ...]], dict[tuple[str, str], Decimal]]:
        """The rows of ``ledger.file_balance``, and what was ingested by source and quantity."""
        self._clear()
        rows = "".join(f"{sha256},MPE,2024-11-30,test\n" for sha256 in sorted(withdrawn))
        write(self.root, "reference/withdrawn_files.csv", "sha256,by,on,reason\n" + rows)
        write(self.root, "sources/rates.yaml", SOURCES["rates"].description("rates"))
        for files in runs:
            for source_id, name, text in files:
                write(self.root, f"inbox/dosimeters/{source_id}/{name}.csv", text)
            run(self.root)
        if is_corrected:
            write(self.root, "sources/rates.yaml", SOURCES["rates"].description("rates").replace("uSv/h", "mSv/h"))
            run(self.root)
        with open_build(load_site(self.root), the_key()) as con:
            con.execute(ALL_DAYS)
            for name, sql in self.models:
                con.execute(f"create or replace table {name} as {sql}")
            pairs = ", ".join(f"rows_{name}, {name}_usv" for name in DISPOSITIONS)
            balance = con.execute(
                f"select path, sha256, source_id, quantity, rows_stated, stated_usv, {pairs}, imbalance_rows,"
                " imbalance_usv from ledger.file_balance"
            ).fetchall()
            ingested = con.execute(
                "select source_id, quantity, sum(ingested_usv) from ledger.dose_balance group by all"
            ).fetchall()
        return balance, {(source_id, quantity): usv for source_id, quantity, usv in ingested}

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """Rows of the tables that were built last."""
        with open_build(load_site(self.root), the_key()) as con:
            return con.execute(query).fetchall()

    def _clear(self) -> None:
        shutil.rmtree(self.root / "inbox", ignore_errors=True)
        site = load_site(self.root)
        shutil.rmtree(site.archive_dir, ignore_errors=True)
        with open_build(site, the_key()) as con:
            tables = con.execute(
                "select distinct table_name from duckdb_columns() where schema_name = 'raw'"
                " and column_name in ('load_seq', 'path_key', 'sha256')"
            ).fetchall()
            for (table,) in tables:
                con.execute(f"delete from raw.{table}")


@pytest.fixture(scope="module")
def warehouses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[date, Warehouse]]:
    found = {}
    for as_of in AS_OF:
        folder = tmp_path_factory.mktemp("balance")
        root = make_site(folder / "site", site="site_id: small\nname: Small\ntimezone: Europe/Madrid\n")
        for source_id, source in SOURCES.items():
            write(root, f"sources/{source_id}.yaml", source.description(source_id))
        site = load_site(root)
        with open_build(site, the_key()) as con:
            load_reference(con, site)
        found[as_of] = Warehouse(root, compiled_models(site.build_db, as_of, PLACES))
    yield found


# --- random exports ---------------------------------------------------------------------------------------------------

TIMES = [
    "2024-10-26T10:00:00",
    "2024-10-27T01:30:00",
    "2024-10-27T02:00:00",  # happens twice
    "2024-10-27T02:30:00",  # happens twice
    "2024-10-27T03:30:00",
    "2024-10-27T23:59:50",
    "2024-10-28T00:00:00",
    "2024-03-31T02:30:00",  # does not exist
    "2024-13-01T00:00:00",
]
CELLS = {
    "dosimeter_serial": ["B1"] * 6 + ["B2"] * 4 + [""],
    "started_at": TIMES[:7] * 3 + TIMES,
    "ended_at": TIMES[1:7] * 3 + TIMES,
    "period_begin": ["2024-10-01", "2024-10-02"],
    "period_end": ["2024-10-27", "2024-10-28", "2024-10-01"],
    "study_instance_uid": ["1.2.3", "1.2.4", "1.2.5", ""],
    "accession_number": ["A1", "A2", ""],
    "hub": ["H1", "H2", ""],
}
# Equal numbers in two spellings, ties of rounding, tokens, and what is no dose.
GOOD = ["0", "1", "1,0", "2,5", "2,5", "3", "0,0000000005", "0,0000015", "M", "", "Unused"]
DOSES = GOOD * 3 + ["-1", "abc", "99999999999"]


@st.composite
def texts(draw: st.DrawFn, source_id: str) -> list[str]:
    """The texts of up to three files of a source, that share some of their rows."""
    source = SOURCES[source_id]
    cells = st.tuples(*(st.sampled_from(CELLS.get(column, DOSES)) for column in source.columns))
    places = st.lists(st.integers(0, 2), min_size=1, max_size=3)
    bodies: list[list[str]] = [[], [], []]
    for row, where, is_damaged in draw(st.lists(st.tuples(cells, places, st.integers(0, 30)), max_size=24)):
        for number in where:
            bodies[number].append(";".join(row) + (";" if is_damaged == 30 else ""))
    if source_id == "studies":  # optional columns may be empty
        bodies = [[line.replace(TIMES[0], "") for line in body] for body in bodies]
    return ["\n".join([";".join(source.columns), *body, ""]) for body in bodies]


@st.composite
def exports(draw: st.DrawFn) -> tuple[list[list[tuple[str, str, str]]], set[str]]:
    """The files of two runs, copies and growing ones among them, and hashes that are withdrawn."""
    runs: list[list[tuple[str, str, str]]] = [[], []]
    withdrawn: set[str] = set()
    for source_id in SOURCES:
        written = draw(texts(source_id))
        names = draw(st.permutations(["a", "b", "c", "d"]))
        for name, text in zip(names, [*written, draw(st.sampled_from(written))], strict=True):
            runs[draw(st.integers(0, 1))].append((source_id, name, text))
        grown, more = draw(st.sampled_from(names)), draw(st.sampled_from(written))
        if (source_id, grown) in {(source, name) for source, name, _ in runs[0]}:
            (text,) = [text for source, name, text in runs[0] if (source, name) == (source_id, grown)]
            if more != text:
                runs[1].append((source_id, grown, text + "".join(more.splitlines(keepends=True)[1:])))
        if draw(st.integers(0, 3)) == 0:
            withdrawn.add(hashlib.sha256(draw(st.sampled_from(written)).encode()).hexdigest())
    return [[file for file in files if is_new(file, runs, nth)] for nth, files in enumerate(runs)], withdrawn


def is_new(file: tuple[str, str, str], runs: Runs, nth: int) -> bool:
    """A file whose name and bytes were there in the run before is not read again."""
    return nth == 0 or file not in runs[0]


@settings(
    max_examples=25,
    deadline=None,
    phases=[Phase.generate],  # shrinking would take minutes; what differs is shown row by row
    suppress_health_check=list(HealthCheck),
)
@given(files=exports(), as_of=st.sampled_from(AS_OF), is_corrected=st.booleans())
def test_every_row_of_any_files_has_the_disposition_of_the_contract(
    warehouses: dict[date, Warehouse],
    files: tuple[list[list[tuple[str, str, str]]], set[str]],
    as_of: date,
    *,
    is_corrected: bool,
) -> None:
    runs, withdrawn = files
    readings = readings_of(runs, withdrawn, as_of, is_corrected=is_corrected)
    expected = [
        reading.row(quantity)
        for reading in readings
        for quantity in SOURCES[reading.source_id].quantities
        if reading.has_rows
    ]
    balance, ingested = warehouses[as_of].build(runs, withdrawn, is_corrected=is_corrected)
    found = Counter(balance), Counter(expected)
    assert (list(found[0] - found[1]), list(found[1] - found[0])) == ([], [])
    counted: defaultdict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for _, _, source_id, quantity, _, _, _, counted_usv, *_ in expected:
        if source_id != "log":
            assert isinstance(counted_usv, Decimal)
            counted[str(source_id), str(quantity)] += counted_usv
    doses = {key: usv for key, usv in ingested.items() if key[0] != "log" and usv}
    assert doses == {key: usv for key, usv in counted.items() if usv}


# --- what a reader can follow -----------------------------------------------------------------------------------------

HEADER = "dosimeter_serial;started_at;hp10;hp007;hub\n"
NOON = "B1;2024-10-26T12:00"
CONFLICT = f"{HEADER}{NOON}:00;360;;H1\n{NOON}:00;180;;H1\n{NOON}:10;720;;H1\n{NOON}:10;720;;H2\n"
CONFLICT += f"{NOON}:40;M;;H1\n{NOON}:40;360;;H1\n"
LOST = HEADER + f"{NOON}:20;3600;;H1\n" * 13
WITHDRAWN = f"{HEADER}{NOON}:30;3600;;H1\n"


def test_each_disposition_by_example(warehouses: dict[date, Warehouse]) -> None:
    warehouse = warehouses[AS_OF[1]]
    files = {"a": CONFLICT, "copy": CONFLICT, "lost": LOST, "withdrawn": WITHDRAWN}
    runs = [[("rates", name, text) for name, text in files.items()]]
    withdrawn = {hashlib.sha256(WITHDRAWN.encode()).hexdigest()}
    assert stated_by(warehouse, runs, withdrawn, is_corrected=False) == {
        ("a", "counted", 3, 4),
        ("a", "repeated", 1, 2),
        ("a", "conflicting", 2, Decimal("0.5")),
        ("copy", "repeated", 6, Decimal("6.5")),
        ("lost", "rejected", 13, 130),
        ("withdrawn", "withdrawn", 1, 10),
    }
    oddities = warehouse.ask("select code, parse_filename(path), line, field from ledger.oddity where load_seq = 1")
    assert oddities == [("conflicting_rows", "a.csv", 3, "B1")]
    hubs = warehouse.ask("select hub, other_hubs from intermediate.int_record_version where line = 4 and is_current")
    assert hubs == [("H1", ["H2"])]
    assert stated_by(warehouse, runs, withdrawn, is_corrected=True) == {
        ("a", "superseded", 6, Decimal("6.5")),
        ("a", "counted", 3, 4000),
        ("a", "repeated", 1, 2000),
        ("a", "conflicting", 2, 500),
        ("copy", "repeated", 6, 6500),
        ("lost", "rejected", 13, 130_000),
        ("withdrawn", "withdrawn", 1, 10),
    }


def stated_by(
    warehouse: Warehouse, runs: Runs, withdrawn: set[str], *, is_corrected: bool
) -> set[tuple[str, str, int, Decimal]]:
    """What became of hp10 of each file: its name, a disposition, rows and microsievert."""
    balance, _ = warehouse.build(runs, withdrawn, is_corrected=is_corrected)
    return {
        (Path(path).stem, disposition, rows, usv)
        for path, _, _, quantity, *cells in balance
        for disposition, rows, usv in zip(DISPOSITIONS, cells[2:18:2], cells[3:18:2], strict=True)
        if quantity == "hp10" and rows
    }
