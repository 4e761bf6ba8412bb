"""Data: what became of every row, from the bytes of the files to a procedure or a named reason."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

import duckdb

from orchestration.pages.page import Frame, Page

SHOWN = 20

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
        rows: rows of the dosimeter files by disposition; ``stated`` of them all.
        dose: Hp(10) that counted by how it was linked, badges of staff and C-arms together; ``dose_usv`` of it all.
        covered_usv: dose that counted already in finer records of the same badge.
        reasons: records and dose that are not linked, by reason.
        events: irradiation events of the dose reports by disposition.
        files: number of files by kind and status.
        imbalance: rows, µSv and events that have no disposition: zero, or the publication was refused.
    """

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
    return frame.page("data.html", "data.html.j2", figures=data_figures(connection), shown=SHOWN)


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
