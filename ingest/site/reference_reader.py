"""Reading the reference CSVs: bytes to typed rows, and every refused row with file, line and field.

Pure functions. ``reference.py`` defines a legal row; ``config.py`` opens the files.
Of rows that contradict each other the first in the file stays and the later is refused; badge assignments differ:
there all rows stay, and the days of an overlap are refused (``badge_overlaps``).
"""

from __future__ import annotations

import csv
import io
import itertools
import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from zoneinfo import ZoneInfo

from ingest.cells import CellError, Value, read_cell
from ingest.control_characters import control_character, printable
from ingest.problems import Problem, SiteError, did_you_mean
from ingest.site.reference import TABLES, TABLES_BY_NAME, Column, Row, Table

REFUSED_ROW = "refused_row"
BADGE_OVERLAP = "badge_overlap"
C_ARM_DISAGREEMENT = "c_arm_disagreement"
UNREAD_COLUMN = "unread_column"


@dataclass(frozen=True, slots=True)
class ReferenceTable:
    """The content of one reference CSV.

    Attributes:
        table: its columns.
        rows: accepted rows: values by column name, and ``line`` (from 1) and ``extra`` (JSON of unknown columns).
        problems: why other rows were refused, and what is odd about accepted ones.
        refused_keys: key column and value of each refused row, as far as it could be read.
    """

    table: Table
    rows: tuple[Row, ...] = ()
    problems: tuple[Problem, ...] = ()
    refused_keys: frozenset[tuple[str, Value]] = frozenset()


@dataclass(frozen=True, slots=True)
class BadgeOverlap:
    """Days (both inclusive; ``to_date`` None = still) on which one badge is assigned more than once.

    Attributes:
        source_id: the source in whose exports it is; None: in those of every source.
    """

    dosimeter_serial: str
    source_id: str | None
    from_date: date
    to_date: date | None


# --- one file ------------------------------------------------------------------------------------------------------


def read_table(table: Table, content: bytes, zone: ZoneInfo) -> ReferenceTable:
    """The rows of one CSV whose single cells are legal.

    Args:
        table: what the file should hold.
        content: the file's bytes.
        zone: of the site; for times that carry none.

    Raises:
        SiteError: the file as a whole cannot be read (encoding, quotes, header).
    """
    records = _records(_decoded(content, table), table)
    header = _header(next(records, (1, []))[1], table)
    rows: list[Row] = []
    problems = _misspelt_columns(header, table)
    refused_keys: set[tuple[str, Value]] = set()
    for line, cells in records:
        row, wrong = _row(table, header, line, cells, zone)
        problems += wrong
        if wrong:
            refused_keys |= {(name, text) for name, text in zip(header, cells, strict=False) if name in table.key}
        else:
            rows.append(row)
    return ReferenceTable(table, tuple(rows), tuple(problems), frozenset(refused_keys))


def _decoded(content: bytes, table: Table) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise SiteError([Problem(table.file, line, None, "is not UTF-8 text; save it as CSV UTF-8")]) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise SiteError([Problem(table.file, line, None, "holds a NUL character; save it as CSV UTF-8")])
    return text


def _records(text: str, table: Table) -> Iterator[tuple[int, list[str]]]:
    """The file's records with the line on which each begins; blank lines are none."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    line = 1
    try:
        for cells in reader:
            trimmed = [cell.strip() for cell in cells]
            if any(trimmed):
                yield line, trimmed
            line = reader.line_num + 1
    except csv.Error as error:
        raise SiteError([Problem(table.file, line, None, f"is not readable CSV from here on: {error}")]) from None


def _header(names: list[str], table: Table) -> list[str]:
    wrong = [*_unusable_names(names, table), *_missing_columns(names, table)]
    if wrong:
        raise SiteError(wrong)
    return names


def _unusable_names(names: list[str], table: Table) -> Iterator[Problem]:
    for position, name in enumerate(names):
        if not name:
            yield Problem(table.file, 1, None, f"column {position + 1} has no name; name it or remove it")
        elif name in names[:position]:
            yield Problem(table.file, 1, name, "is there twice; keep one of the two columns")
        elif character := control_character(name):
            yield Problem(table.file, 1, printable(name), _holds(character))


def _missing_columns(names: list[str], table: Table) -> Iterator[Problem]:
    needed = [column.name for column in table.columns if column.is_required]
    if not any(name in names for name in needed) and needed:
        wanted = ",".join(column.name for column in table.columns)
        yield Problem(table.file, 1, None, f"the header line must be {wanted} (separated by commas)")
        return
    for name in needed:
        if name not in names:
            yield Problem(table.file, 1, name, f"the column is missing{_meant(name, names)}; add it")


def _misspelt_columns(header: list[str], table: Table) -> list[Problem]:
    """Unread columns whose name looks like a known one that is missing."""
    missing = [column.name for column in table.columns if column.name not in header]
    unknown = [name for name in header if name not in {column.name for column in table.columns}]
    return [
        Problem(table.file, 1, name, f"is not read; did you mean {meant}?", UNREAD_COLUMN)
        for name in unknown
        if (meant := did_you_mean(name, missing))
    ]


def _meant(name: str, names: list[str]) -> str:
    similar = did_you_mean(name, names)
    return f" (is it '{similar}'?)" if similar else ""


def _row(table: Table, header: list[str], line: int, cells: list[str], zone: ZoneInfo) -> tuple[Row, list[Problem]]:
    if len(cells) != len(header):
        message = f"has {len(cells)} cells and the header {len(header)}; correct the commas and quotes"
        return {}, [Problem(table.file, line, None, message, REFUSED_ROW)]
    given = dict(zip(header, cells, strict=True))
    row: Row = {}
    problems: list[Problem] = []
    for column in table.columns:
        text = given.pop(column.name, "")
        try:
            row[column.name] = _value(column, text, zone)
        except CellError as error:
            problems.append(Problem(table.file, line, column.name, _quoting(column, text, error), REFUSED_ROW))
    for name, text in given.items():  # columns that are kept and not known
        if character := control_character(text):
            problems.append(Problem(table.file, line, name, _holds(character), REFUSED_ROW))
    if not problems:
        problems = [
            Problem(table.file, line, name, message, REFUSED_ROW) for name, message in _contradictions(table, row)
        ]
    if not problems:
        row |= {column.name: compute(row) for column, compute in table.derived}
    row |= {"line": line, "extra": json.dumps(given, ensure_ascii=False) if given else None}
    return row, problems


def _value(column: Column, text: str, zone: ZoneInfo) -> Value:
    if not text and column.is_required:
        raise CellError("is empty; fill it in")
    if character := control_character(text):
        raise CellError(_holds(character))
    if text and column.allowed and text not in column.allowed:
        raise CellError(f"must be one of {', '.join(column.allowed)}")
    return read_cell(text, column.type, zone)


def _holds(character: str) -> str:
    return f"holds the control character {character}; remove it"


def _quoting(column: Column, text: str, error: CellError) -> str:
    return str(error) if column.is_private or not text else f"{text[:60]!r} {error}"


def _contradictions(table: Table, row: Row) -> Iterator[tuple[str, str]]:
    for check in table.checks:
        wrong = check(row)
        if wrong:
            yield wrong
    if table.span:
        begin, end = _span(row, table.span)
        if begin >= end:
            yield table.span[1], f"{row[table.span[1]]} is not after {table.span[0]} {row[table.span[0]]}; correct one"


def _span(row: Row, names: tuple[str, str]) -> tuple[float, float]:
    """Begin and end of a row's validity as numbers, half-open: a last day ends where the next day begins."""
    begin, end = (row[name] for name in names)
    last = _number(end, float("inf"))
    return _number(begin, float("-inf")), last if isinstance(end, datetime) else last + 1


def _number(value: Value, unknown: float) -> float:
    if isinstance(value, datetime):
        return value.timestamp()
    return value.toordinal() if isinstance(value, date) else unknown


# --- rows of one file against each other, and of one file against another ------------------------------------------


def check_together(tables: Mapping[str, ReferenceTable], source_ids: Collection[str]) -> dict[str, ReferenceTable]:
    """The same tables without rows that name what does not exist, or that contradict an earlier row.

    Args:
        tables: by name; a file that could not be read is left out, and what refers to it is then not judged.
        source_ids: the dosimeter sources that the site describes.
    """
    known: dict[tuple[str, str], set[Value]] = {("sources", "source_id"): set(source_ids)}
    checked: dict[str, ReferenceTable] = {}
    refused: set[tuple[str, str, Value]] = set()
    for table in TABLES:
        if table.name not in tables:
            continue
        read = tables[table.name]
        linked = _without(read, _dangling(table, read.rows, known, refused))
        checked[table.name] = result = _without(linked, _conflicting(table, linked.rows))
        known |= {(table.name, name): {row[name] for row in result.rows} for name in table.key}
        refused |= {(table.name, name, value) for name, value in result.refused_keys}
    return _with_disagreements(checked)


def _without(result: ReferenceTable, refusals: Iterable[Problem]) -> ReferenceTable:
    problems = tuple(refusals)
    lines = {problem.line for problem in problems}
    rows = tuple(row for row in result.rows if row["line"] not in lines)
    keys = {(name, row[name]) for row in result.rows if row["line"] in lines for name in result.table.key}
    return replace(result, rows=rows, problems=result.problems + problems, refused_keys=result.refused_keys | keys)


def _dangling(
    table: Table,
    rows: Iterable[Row],
    known: Mapping[tuple[str, str], set[Value]],
    refused: Collection[tuple[str, str, Value]],
) -> Iterator[Problem]:
    targets = [(column, column.refers_to) for column in table.columns if column.refers_to]
    referring = [(column, *target, known[target]) for column, target in targets if target in known]
    for row in rows:
        for column, there, key, values in referring:
            strange = next((value for value in _given(column, row) if value not in values), None)
            if strange is not None:
                where = "described in sources/" if there == "sources" else f"in a valid row of {there}.csv"
                message = f"no {key} {str(strange)[:60]!r} is {where}; add it there or correct it here"
                problem = _refusal(table, row, column.name, message)
                yield replace(problem, is_consequence=(there, key, strange) in refused)


def _given(column: Column, row: Row) -> list[Value]:
    """What a cell names; nothing if it is empty."""
    value = row[column.name]
    if value is None:
        return []
    return list(str(value).split()) if column.is_list else [value]


def _conflicting(table: Table, rows: Iterable[Row]) -> Iterator[Problem]:
    if table.key:
        yield from _repeated(table, rows)
    if table.one_at_a_time:
        yield from _simultaneous(table, rows)


def _repeated(table: Table, rows: Iterable[Row]) -> Iterator[Problem]:
    first_lines: dict[tuple[Value, ...], Value] = {}
    for row in rows:
        line = first_lines.setdefault(tuple(row[name] for name in table.key), row["line"])
        if line != row["line"]:
            yield _refusal(
                table, row, table.key[0], f"repeats {_named(row, table.key)} of line {line}; keep one of the two"
            )


def _simultaneous(table: Table, rows: Iterable[Row]) -> Iterator[Problem]:
    assert table.span is not None  # noqa: S101 - only tables with a span hold one row at a time
    kept: defaultdict[tuple[Value, ...], list[Row]] = defaultdict(list)
    for row in rows:
        others = kept[tuple(row[name] for name in table.one_at_a_time)]
        earlier = next((other for other in others if _overlap(row, other, table.span)), None)
        if earlier is None:
            others.append(row)
        else:
            message = f"overlaps line {earlier['line']} for {_named(row, table.one_at_a_time)}; correct one of the two"
            yield _refusal(table, row, table.span[0], message)


def _overlap(one: Row, other: Row, names: tuple[str, str]) -> bool:
    (one_begin, one_end), (other_begin, other_end) = _span(one, names), _span(other, names)
    return one_begin < other_end and other_begin < one_end


def _named(row: Row, names: Iterable[str]) -> str:
    return ", ".join(f"{name} {row[name]}" for name in names if row[name] is not None)


def _refusal(table: Table, row: Row, column: str, message: str) -> Problem:
    line = row["line"]
    assert isinstance(line, int)  # noqa: S101 - set by _row
    return Problem(table.file, line, column, message, REFUSED_ROW)


# --- badges --------------------------------------------------------------------------------------------------------


def sources_named(assignment: Row) -> frozenset[str]:
    """The sources whose exports know the badge by this assignment; none named: any."""
    return frozenset(str(assignment["source_id"] or "").split())


def badge_overlaps(assignments: Iterable[Row]) -> list[BadgeOverlap]:
    """The days on which a badge is assigned more than once within a source, as separate intervals in order."""
    intervals: list[BadgeOverlap] = []
    for serial, source_id, rows in _badges(assignments):
        of_badge: list[BadgeOverlap] = []
        for _, _, begin, end in _overlapping_pairs(rows):
            if of_badge and begin <= _last_day(of_badge[-1].to_date):
                last = of_badge.pop()
                begin, end = last.from_date, max(end, _last_day(last.to_date))
            of_badge.append(BadgeOverlap(serial, source_id, begin, None if end == date.max else end))
        intervals += of_badge
    return intervals


def _badges(assignments: Iterable[Row]) -> Iterator[tuple[str, str | None, list[Row]]]:
    """Serials with the assignments that hold in each source that one of them names, and in all others (None)."""
    by_serial = sorted(assignments, key=lambda row: str(row["dosimeter_serial"]))
    for serial, group in itertools.groupby(by_serial, key=lambda row: str(row["dosimeter_serial"])):
        rows = list(group)
        yield serial, None, [row for row in rows if not sources_named(row)]
        for source_id in sorted(frozenset[str]().union(*map(sources_named, rows))):
            yield serial, source_id, [row for row in rows if source_id in sources_named(row) or not sources_named(row)]


def _overlapping_pairs(assignments: Iterable[Row]) -> Iterator[tuple[Row, Row, date, date]]:
    """Each assignment of one badge that begins before an earlier one ends, with that one and the days of both."""
    ordered = sorted(assignments, key=lambda row: (row["valid_from"], row["line"]))
    furthest = ordered[0] if ordered else {}
    for row in ordered[1:]:
        begin, end, reach = row["valid_from"], _last_day(row["valid_to"]), _last_day(furthest["valid_to"])
        if isinstance(begin, date) and begin <= reach:
            yield furthest, row, begin, min(end, reach)
        if end > reach:
            furthest = row


def _last_day(value: Value) -> date:
    return value if isinstance(value, date) else date.max


def _with_disagreements(tables: dict[str, ReferenceTable]) -> dict[str, ReferenceTable]:
    """The same tables with what is odd about badges: their rows stay, and dbt leaves the days of an overlap out."""
    assignments = tables.get("dosimeters")
    if assignments is None:
        return tables
    odd = {"dosimeters": tuple(_overlap_problems(assignments.rows))}
    if "rooms" in tables:
        odd["rooms"] = tuple(_unconfirmed_c_arms(tables["rooms"], assignments))
    return tables | {name: replace(tables[name], problems=tables[name].problems + odd[name]) for name in odd}


def _overlap_problems(assignments: Iterable[Row]) -> Iterator[Problem]:
    """Each pair of overlapping assignments once, in however many sources they meet."""
    pairs = {
        (earlier["line"], later["line"]): (serial, earlier, later, begin, end)
        for serial, _, rows in _badges(assignments)
        for earlier, later, begin, end in _overlapping_pairs(rows)
    }
    for serial, earlier, later, begin, end in pairs.values():
        until = "" if end == date.max else f" to {end}"
        message = (
            f"badge {serial} has another assignment in line {earlier['line']} from {begin}{until}; "
            "its dose of these days is assigned to no operator until the dates or the sources (source_id) are corrected"
        )
        yield replace(_refusal(TABLES_BY_NAME["dosimeters"], later, "valid_from", message), code=BADGE_OVERLAP)


def _unconfirmed_c_arms(rooms: ReferenceTable, assignments: ReferenceTable) -> Iterator[Problem]:
    confirmed = {(row["room_id"], row["dosimeter_serial"]) for row in assignments.rows if row["worn_at"] == "c_arm"}
    for row in rooms.rows:
        badge = row["c_arm_dosimeter"]
        if badge is not None and (row["room_id"], badge) not in confirmed:
            message = f"badge {badge} has no c_arm row for room {row['room_id']} in dosimeters.csv; make the two agree"
            yield replace(_refusal(rooms.table, row, "c_arm_dosimeter", message), code=C_ARM_DISAGREEMENT)
