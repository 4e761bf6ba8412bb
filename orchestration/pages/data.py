"""Data: what became of every row, from the bytes of the files to a procedure or a reason, and what was checked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

import duckdb

from orchestration.pages.page import Frame, Page

SHOWN = 20
SUITES = ("structural", "logical", "plausible")

# Dispositions of the rows of dosimeter files, in the order of the contract (file_balance).
FATES = ("counted", "repeated", "replaced", "conflicting", "after_as_of", "rejected", "superseded", "withdrawn")
# Dispositions of what counted (dose_balance).
LINKS = (
    "linked_event_usv",
    "linked_window_usv",
    "linked_session_usv",
    "linked_vendor_usv",
    "linked_manual_usv",
    "apportioned_usv",
    "unlinked_usv",
)


@dataclass(frozen=True, slots=True)
class Part:
    """One disposition: rows or events, µSv where there is a dose, and its share of the whole."""

    name: str
    count: int | None
    usv: float | None
    share: float


@dataclass(frozen=True, slots=True)
class Stage:
    """One bar of the flow of dose: its parts in µSv; ``share`` of a part is of the first bar, so that all have a scale.

    Attributes:
        goes_on: number of the first parts that are the whole of the next bar.
    """

    name: str
    parts: tuple[Part, ...]
    goes_on: int

    @property
    def usv(self) -> float:
        """Dose of all parts."""
        return sum(part.usv or 0 for part in self.parts)

    @property
    def shares(self) -> tuple[tuple[float, str], ...]:
        """Share and colour of each part: what goes on is dark, what is not linked stands out, the rest is pale."""
        return tuple(
            (part.share, "m-hot" if part.name == "unlinked_usv" else "m-soft" if place < self.goes_on else "m-softc")
            for place, part in enumerate(self.parts)
        )


@dataclass(frozen=True, slots=True)
class Check:
    """What one check of the gate found in this publication, and in those before it.

    Attributes:
        history: whether it held, by publication, the newest last; None where there was no such check.
        smallest, largest: of the values that the rule bounds; None where it bounds none.
        failing_since: first publication of those in a row in which it did not hold.
    """

    history: tuple[bool | None, ...]
    suite: str
    severity: str
    table_name: str
    column_name: str | None
    rule: str
    passed: bool
    failing_rows: int | None
    smallest: float | None
    largest: float | None
    allowed_low: float | None
    allowed_high: float | None
    unit: str | None
    sentence: str | None
    failing_since: datetime | None

    @property
    def place(self) -> str:
        """Table and column that the check is about; of several columns only the table."""
        is_of_one = self.column_name and "," not in self.column_name
        return f"{self.table_name}.{self.column_name}" if is_of_one else self.table_name

    @property
    def times_failed(self) -> int:
        """Number of the publications in the history in which it did not hold."""
        return sum(held is False for held in self.history)


@dataclass(frozen=True, slots=True)
class Refused:
    """A file that was not read, and why."""

    path: str
    kind: str
    first_seen_at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Missing:
    """A study that is known from elsewhere, and has no dose report."""

    accession_number: str | None
    known_from: str
    expected_date: date | None
    reason: str


@dataclass(frozen=True, slots=True)
class Edition:
    """One publication."""

    run_id: str
    published_at: datetime
    as_of: date
    checks_passed: int


@dataclass(frozen=True, slots=True)
class DataFigures:
    """What the page shows.

    Attributes:
        flow: Hp(10) from the files to its link, one bar below the other.
        checks: those of this publication, by suite.
        rows: rows of the dosimeter files by disposition; ``stated`` of them all.
        dose: Hp(10) that counted by how it was linked, badges of staff and C-arms together; ``dose_usv`` of it all.
        covered_usv: dose that counted already in finer records of the same badge.
        reasons: records and dose that are not linked, by reason.
        events: irradiation events of the dose reports by disposition.
        files: number of files by kind and status.
        imbalance: rows, µSv and events that have no disposition: zero, or the publication was refused.
    """

    flow: tuple[Stage, ...]
    checks: tuple[Check, ...]
    stated_rows: int
    rows: tuple[Part, ...]
    dose_usv: float
    covered_usv: float
    dose: tuple[Part, ...]
    reasons: tuple[Part, ...]
    events_stated: int
    events: tuple[Part, ...]
    files: tuple[tuple[str, str, int], ...]
    refused_count: int
    refused: tuple[Refused, ...]
    oddities: tuple[tuple[str, int, str], ...]
    missing: tuple[Missing, ...]
    editions: tuple[Edition, ...]
    imbalance: float

    @property
    def broken(self) -> tuple[Check, ...]:
        """Checks that do not hold: they warn, for a check that blocks would have kept the publication back."""
        return tuple(check for check in self.checks if not check.passed)

    def held(self, suite: str) -> tuple[Check, ...]:
        """Checks of a suite that hold."""
        return tuple(check for check in self.checks if check.passed and check.suite == suite)

    @property
    def linked_share(self) -> float:
        """Share of the dose that counted which is linked: by time, by the vendor or by hand; never by estimate."""
        return sum(part.share for part in self.dose if part.name.startswith("linked"))


def data_figures(connection: duckdb.DuckDBPyConnection) -> DataFigures:
    """Read what the page shows from the published warehouse."""
    (stated, *counts) = connection.execute(_ROWS).fetchall()[0]
    (dose_usv, covered_usv, *linked) = connection.execute(_DOSE).fetchall()[0]
    (events_stated, *events) = connection.execute(_EVENTS).fetchall()[0]
    reasons = connection.execute(_REASONS).fetchall()
    unlinked = sum(usv for _, _, usv in reasons)
    (refused_count,) = connection.execute(_REFUSED_COUNT).fetchall()[0]
    (imbalance,) = connection.execute(_IMBALANCE).fetchall()[0]
    return DataFigures(
        flow=_flow(connection, dose_usv, covered_usv, linked),
        checks=_checks(connection),
        stated_rows=stated,
        rows=_parts(FATES, [*zip(counts[::2], counts[1::2], strict=True)], stated),
        dose_usv=dose_usv,
        covered_usv=covered_usv,
        dose=tuple(
            Part(name, None, usv, usv / dose_usv if dose_usv else 0) for name, usv in zip(LINKS, linked, strict=True)
        ),
        reasons=tuple(Part(name, n, usv, usv / unlinked if unlinked else 0) for name, n, usv in reasons),
        events_stated=events_stated,
        events=_parts(EVENT_FATES, [(count, None) for count in events], events_stated),
        files=tuple(connection.execute(_FILES).fetchall()),
        refused_count=refused_count,
        refused=tuple(Refused(*row) for row in connection.execute(_REFUSED, [SHOWN]).fetchall()),
        oddities=tuple(connection.execute(_ODDITIES).fetchall()),
        missing=tuple(Missing(*row) for row in connection.execute(_MISSING, [SHOWN]).fetchall()),
        editions=tuple(Edition(*row) for row in connection.execute(_EDITIONS, [SHOWN]).fetchall()),
        imbalance=imbalance,
    )


def data_page(connection: duckdb.DuckDBPyConnection, frame: Frame) -> Page:
    """Render the page."""
    return frame.page("data.html", "data.html.j2", figures=data_figures(connection), shown=SHOWN, suites=SUITES)


def _flow(
    connection: duckdb.DuckDBPyConnection, dose_usv: float, covered_usv: float, linked: list[float]
) -> tuple[Stage, ...]:
    """Dose as the files state it, what of it counts once, and where that went; counters count by their rise."""
    (counters, *stated) = connection.execute(_STATED).fetchall()[0]
    of_links = dict(zip(LINKS, linked, strict=True))
    stages = {
        "stated": ((("counted", stated[0]), ("counters", counters), *zip(FATES[1:], stated[1:], strict=True)), 2),
        "once": ((("used", dose_usv), ("covered", covered_usv)), 1),
        "went": (
            (
                ("linked", sum(usv for name, usv in of_links.items() if name.startswith("linked"))),
                ("apportioned_usv", of_links["apportioned_usv"]),
                ("unlinked_usv", of_links["unlinked_usv"]),
            ),
            1,
        ),
    }
    whole = counters + sum(stated) or 1.0
    return tuple(
        Stage(name, tuple(Part(part, None, usv, usv / whole) for part, usv in parts), goes_on)
        for name, (parts, goes_on) in stages.items()
    )


def _checks(connection: duckdb.DuckDBPyConnection) -> tuple[Check, ...]:
    return tuple(
        Check(tuple(dict(zip(ages, held, strict=True)).get(age) for age in range(SHOWN, 0, -1)), *row)
        for ages, held, *row in connection.execute(_CHECKS, [SHOWN, SHOWN]).fetchall()
    )


EVENT_FATES = ("counted", "counted_elsewhere", "superseded", "after_as_of", "rejected")


def _parts(names: tuple[str, ...], found: list[tuple[int, float | None]], whole: int) -> tuple[Part, ...]:
    return tuple(
        Part(name, count, usv, count / whole if whole else 0) for name, (count, usv) in zip(names, found, strict=True)
    )


_ROWS = f"""
    select
        coalesce(sum(rows_stated), 0)::bigint,
        {", ".join(f"coalesce(sum(rows_{fate}), 0)::bigint, coalesce(sum({fate}_usv), 0)::double" for fate in FATES)}
    from ledger.file_balance
"""  # our own names

# Cumulative readings have no dose of their own: their rise counts.
_STATED = f"""
    select
        (select coalesce(sum(segment_rise_usv), 0)::double from ledger.counter_balance where quantity = 'hp10'),
        {", ".join(f"coalesce(sum({fate}_usv), 0)::double" for fate in FATES)}
    from ledger.file_balance
    where quantity = 'hp10'
"""  # our own names

_CHECKS = """
    with
    results as (
        select
            found.*, publications.published_at,
            max(publications.published_at) filter (found.passed) over (partition by found.check_id) as last_held_at,
            dense_rank() over (order by publications.published_at desc) as age
        from ledger.check_result as found
        inner join ledger.publication as publications on found.run_id = publications.run_id
    ),
    histories as (
        select
            check_id, min(published_at) filter (published_at > coalesce(last_held_at, '-infinity')) as failing_since,
            list(age order by age) filter (age <= ?) as ages,
            list(passed order by age) filter (age <= ?) as held
        from results
        group by check_id
    )
    select
        ages, held, suite, severity, table_name, column_name, rule, passed, failing_rows, smallest, largest,
        allowed_low, allowed_high, unit, sentence, failing_since
    from results
    inner join histories on results.check_id = histories.check_id
    where age = 1
    order by passed, list_position(['structural', 'logical', 'plausible'], suite), table_name, column_name, rule
"""

_DOSE = f"""
    select
        coalesce(sum(ingested_usv - covered_by_samples_usv), 0)::double,
        coalesce(sum(covered_by_samples_usv), 0)::double,
        {", ".join(f"coalesce(sum({name}), 0)::double" for name in LINKS)}
    from ledger.dose_balance
    where quantity = 'hp10'
"""

_EVENTS = f"""
    select
        coalesce(sum(events_stated), 0)::bigint,
        {", ".join(f"coalesce(sum(events_{fate}), 0)::bigint" for fate in EVENT_FATES)}
    from ledger.report_balance
"""

_IMBALANCE = """
    select
        (select coalesce(sum(abs(imbalance_rows)) + sum(abs(coalesce(imbalance_usv, 0))), 0) from ledger.file_balance)
        + (select coalesce(sum(abs(imbalance_usv)), 0) from ledger.dose_balance)
        + (select coalesce(sum(abs(imbalance_events)), 0) from ledger.report_balance)
"""

_REASONS = """
    select reason, count(*), coalesce(sum(hp10_usv), 0)::double
    from ledger.unlinked_dose
    group by reason
    order by 3 desc, reason
"""

_FILES = "select kind, status, count(*) from ledger.file group by kind, status order by kind, count(*) desc, status"

_REFUSED_COUNT = "select count(*) from ledger.file where status = 'quarantined'"

_REFUSED = """
    select path, kind, first_seen_at, coalesce(reason, '')
    from ledger.file
    where status = 'quarantined'
    order by first_seen_at desc, load_seq desc
    limit ?
"""

_ODDITIES = """
    select code, count(*), first(message order by load_seq desc nulls last, line, message)
    from ledger.oddity
    group by code
    order by count(*) desc, code
"""

_MISSING = """
    select accession_number, known_from, expected_date, reason
    from ledger.expected_study
    where not has_report
    order by expected_date desc nulls last, accession_number
    limit ?
"""

_EDITIONS = """
    select run_id, published_at, as_of, checks_passed
    from ledger.publication
    order by published_at desc
    limit ?
"""
