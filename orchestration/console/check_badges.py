"""`check`: badges that exports of several sources state on the same days, and rows that name a badge of no export.

The first is the rule of the model `int_unclear_badge`, for exports that are not loaded yet: before a first run there is
nothing else.
"""

from __future__ import annotations

import hashlib
import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from datetime import date, timedelta

import duckdb

from ingest.cells import Value
from ingest.dosimeters.description import SourceDescription
from ingest.dosimeters.reader import read_export
from ingest.problems import Problem
from ingest.raw.build_db import BuildUnavailable, read_any_build
from ingest.raw.file_ledger import FoundFile, find_dosimeter_exports
from ingest.raw.stores import MB, source_of
from ingest.records import Refused
from ingest.site.config import Site
from ingest.site.reference import Row
from ingest.site.reference_reader import sources_named

MOST_BYTES = 256 * MB  # of exports that are read here, the newest first: a check is no run
MOST_INTERVALS = 3
Days = dict[str, dict[str, set[date]]]  # days with records by serial and source

_LOADED_DAYS = "select dosimeter_serial, source_id, from_date, to_date from intermediate.int_badge_day"
_LOADED_SERIALS = "select distinct dosimeter_serial from raw.dose_record"
_LOADED_FILES = "select source_id, sha256 from raw.file where kind = 'dosimeter' and status = 'loaded'"
_ROWS_DAYS = """
select distinct
    dosimeter_serial,
    coalesce(period_begin, cast(timezone($zone, started_at) as date)),
    coalesce(period_end, cast(timezone($zone, case when $is_session then ended_at else started_at end) as date))
from batch_rows
where started_at is not null
"""


@dataclass(frozen=True, slots=True)
class BadgeCheck:
    """What was found, and how many exports were too many to be read."""

    problems: list[Problem]
    n_unread: int


def check_badges(site: Site) -> BadgeCheck:
    """Looks for unclear and unknown badges in what is loaded and in the exports of the inbox."""
    assignments = site.reference["dosimeters"].rows
    unassigned = list(_rows_of_unassigned_badges(site, {row["dosimeter_serial"] for row in assignments}))
    if len(site.sources) < 2 and not unassigned:  # one source never contradicts itself
        return BadgeCheck([], 0)
    days, loaded = _loaded(site)
    n_unread = _add_inbox(days, site, loaded)
    problems = [
        *unclear_badges(days, site.sources, assignments),
        *_unknown_badges(unassigned, days.keys(), _loaded_serials(site)),
    ]
    return BadgeCheck(problems, n_unread)


def _rows_of_unassigned_badges(site: Site, assigned: Set[Value]) -> Iterator[tuple[str, Row]]:
    """Rows about a badge's records whose badge is in no row of dosimeters.csv, and their files."""
    for name in ("corrections", "links"):
        table = site.reference[name]
        yield from ((table.table.file, row) for row in table.rows if row["dosimeter_serial"] not in assigned)


def _unknown_badges(
    unassigned: Iterable[tuple[str, Row]], in_exports: Set[str], loaded: Set[str] | None
) -> Iterator[Problem]:
    """A problem for each row whose badge is in no export either; none while it is not known what is loaded."""
    if loaded is None:
        return
    for file, row in unassigned:
        serial = str(row["dosimeter_serial"])
        if serial not in in_exports | loaded:
            message = (
                f"badge {serial[:60]!r} is in no row of dosimeters.csv and in no export that was read, so this row"
                " changes nothing; correct the serial, as the export writes it, or remove the row"
            )
            yield Problem(file, int(str(row["line"])), "dosimeter_serial", message)


def unclear_badges(
    days: Days, sources: Mapping[str, SourceDescription], assignments: Iterable[Row]
) -> Iterator[Problem]:
    """A problem for each serial and pair of sources where no row decides whether it is one badge."""
    naming: defaultdict[str, list[Row]] = defaultdict(list)
    for row in assignments:
        if sources_named(row):
            naming[str(row["dosimeter_serial"])].append(row)
    for serial, by_source in sorted(days.items()):
        for one, other in itertools.combinations(sorted(by_source.keys() & sources.keys()), 2):
            if _write_of_one_badge(sources[one], sources[other]):
                continue
            shared = by_source[one] & by_source[other]
            unclear = sorted(day for day in shared if not _is_decided(naming[serial], day, {one, other}))
            if unclear:
                yield _problem(serial, one, other, unclear)


def _write_of_one_badge(one: SourceDescription, other: SourceDescription) -> bool:
    """A reader writes samples and hourly totals of one badge; hubs in several rooms receive the same badge."""
    layouts = {one.layout, other.layout}
    if layouts == {"rate_samples"}:
        return all("hub" in source.columns for source in (one, other))
    return layouts == {"rate_samples", "hourly_totals"}


def _is_decided(assignments: list[Row], day: date, source_ids: set[str]) -> bool:
    return any(_is_in_force(row, day) and sources_named(row) & source_ids for row in assignments)


def _is_in_force(row: Row, day: date) -> bool:
    begin, end = row["valid_from"], row["valid_to"]
    return isinstance(begin, date) and begin <= day and (not isinstance(end, date) or day <= end)


def _problem(serial: str, one: str, other: str, days: list[date]) -> Problem:
    intervals = _intervals(days)
    shown = ", ".join(f"{begin}" if begin == end else f"{begin} to {end}" for begin, end in intervals[:MOST_INTERVALS])
    more = f" and {len(intervals) - MOST_INTERVALS} more intervals" if len(intervals) > MOST_INTERVALS else ""
    message = (
        f"badge {serial} is in exports of the sources {one} and {other} on the same days ({shown}{more}); if it is one "
        "badge, name both sources in its row, else give the badge of each source a row that names it; until then its "
        "dose of these days is of no operator"
    )
    return Problem("reference/dosimeters.csv", None, "source_id", message)


def _intervals(days: list[date]) -> list[tuple[date, date]]:
    found: list[tuple[date, date]] = []
    for day in days:
        if found and found[-1][1] + timedelta(days=1) == day:
            found[-1] = (found[-1][0], day)
        else:
            found.append((day, day))
    return found


# --- what is loaded, and what waits in the inbox -------------------------------------------------------------------


def _loaded(site: Site) -> tuple[Days, set[tuple[str, str]]]:
    """Days of the last build, and source and SHA-256 of the exports behind them; nothing while a run holds them."""
    days: Days = {}
    try:
        with duckdb.connect(str(site.build_db), read_only=True) as con:
            spans = con.execute(_LOADED_DAYS).fetchall()
            files = set(con.execute(_LOADED_FILES).fetchall())
    except (duckdb.IOException, duckdb.CatalogException):  # none yet, in use, or not built: then from the inbox
        return days, set()
    for serial, source_id, begin, end in spans:
        if begin is not None:
            _add(days, serial, source_id, begin, end)
    return days, files


def _loaded_serials(site: Site) -> Set[str] | None:
    """Badges of all loaded exports; None if the build database cannot be read now."""
    if not site.build_db.exists():
        return frozenset()
    try:
        with read_any_build(site) as con:
            return {serial for (serial,) in con.execute(_LOADED_SERIALS).fetchall()}
    except BuildUnavailable:
        return None


def _add(days: Days, serial: str, source_id: str, begin: date, end: date) -> None:
    of_source = days.setdefault(serial, {}).setdefault(source_id, set())
    of_source.update(begin + timedelta(days=nth) for nth in range((end - begin).days + 1))


def _add_inbox(days: Days, site: Site, loaded: set[tuple[str, str]]) -> int:
    """Adds the exports that are not loaded, the newest first; how many were left out."""
    files = [file for file in find_dosimeter_exports(site) if file.obstacle is None]
    budget, n_unread = MOST_BYTES, 0
    for file in sorted(files, key=lambda file: file.mtime_ns, reverse=True):
        try:
            source = source_of(file.source_id, file.place.name, site)
            with file.place.open("rb") as content:
                if (source.source_id, hashlib.file_digest(content, "sha256").hexdigest()) in loaded:
                    continue
            if file.size_bytes > budget:
                n_unread += 1
                continue
            budget -= file.size_bytes
            for serial, begin, end in _days_of(file, source, site.config.timezone):
                _add(days, serial, source.source_id, begin, end)
        except (Refused, OSError):  # a file that cannot be loaded states no dose; 'check --file' states why
            continue
    return n_unread


def _days_of(file: FoundFile, source: SourceDescription, zone: str) -> set[tuple[str, date, date]]:
    """Serial, first and last day of the records of an export."""
    found: set[tuple[str, date, date]] = set()
    given = {"zone": zone, "is_session": source.layout == "sessions"}
    with duckdb.connect() as con:
        for batch in read_export(file.place, source):
            con.register("batch_rows", batch.rows)
            found.update(con.execute(_ROWS_DAYS, given).fetchall())
    return found
