"""Reading a badge export: a file and the description of its source in, batches of records and refused rows out.

Puts the parts together (lines, header, cells, rows) and decides what is refused: a file whose header does not fit,
a line that cannot be read. Nothing is guessed and nothing stored; repeats and versions are decided in dbt.
"""

from __future__ import annotations

import csv
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from ingest.dosimeters.cells import Cells, columns_of, plain_columns, split
from ingest.dosimeters.description import SourceDescription
from ingest.dosimeters.last_line import may_be_cut
from ingest.dosimeters.layouts import LAYOUTS
from ingest.dosimeters.lines import UNREADABLE, Lines, is_blank, read_lines, split_off, without_footer
from ingest.dosimeters.lost_seconds import SeenTimes, lost_seconds
from ingest.dosimeters.rows import Batch, LineNumbers, Places, RowReader, mapped_texts
from ingest.dosimeters.swapped_dates import SeenDates
from ingest.dosimeters.unit_words import units_of
from ingest.records import DOSE_ROWS, Finding, Refused, RejectedRow, Stated

NO_CELLS = "{}"  # raw of a line whose cells cannot be told apart: showing any could show a person's name
LEFT_OUT_ROWS = "left_out_rows"
_LONGEST_COLUMN_SHOWN, _MOST_COLUMNS_SHOWN, _MOST_LINES_SHOWN = 60, 20, 5


def read_export(path: Path, source: SourceDescription) -> Iterator[Batch]:
    """The records of an export, in the order of its lines, a bounded number at a time.

    Doses are microsievert, exact to the ninth digit; instants are UTC; counters keep their readings. A line is a row:
    a quote that is not closed on its line makes a bad row, for it could swallow good ones.

    Raises:
        Refused: quarantined; before anything is yielded if the header or the encoding is not the described one, after
            the last batch, with what the file states, if its times have lost their seconds.
        OSError: the file cannot be read.
    """
    above, pieces = split_off(read_lines(path, source.encoding), source.skip_rows + 1)
    header, places = _fitting_header(above, source)
    reader = _PieceReader(source, header, places)
    left_out = [Lines(1, above[:-1])]  # and the footer, once the file was read
    batches = map(reader.read, without_footer(pieces, source.footer_pattern, left_out))
    yield from _judged(batches, path, source, lambda: _left_out_rows(_PieceReader(source, header, places), left_out))


def _left_out_rows(reader: _PieceReader, left_out: Iterable[Lines]) -> Finding | None:
    """The oddity of lines that skip_rows or footer_pattern leave out although they read as records."""
    rows = [line for lines in left_out if lines.texts for line in reader.read(lines).rows["line"].to_pylist()]
    found = list(dict.fromkeys(rows))  # a line has a record for each quantity
    if not found:
        return None
    shown = ", ".join(map(str, found[:_MOST_LINES_SHOWN])) + (" …" if len(found) > _MOST_LINES_SHOWN else "")
    message = (
        f"skip_rows or footer_pattern leave out {len(found)} line{'s' if len(found) > 1 else ''} that can be read as"
        f" records and count nowhere ({shown}); if they are data, correct the source's description"
    )
    return Finding(LEFT_OUT_ROWS, message, line=found[0])


def _judged(
    batches: Iterable[Batch], path: Path, source: SourceDescription, left_out: Callable[[], Finding | None]
) -> Iterator[Batch]:
    """Batches; what is wrong or odd with the file as a whole comes last."""
    span = LAYOUTS[source.layout].span
    times, dates = SeenTimes(), SeenDates(source)
    statement: tuple[Stated, ...] = ()
    for batch in batches:
        if span == "sample":
            times.add(batch.rows)
        if span in ("sample", "hour", "session"):  # readings and periods may be of one day of each month
            dates.add(batch.rows)
        statement = batch.statement
        yield batch
    reason = lost_seconds(path, source, times)
    if reason is not None:
        raise Refused("quarantined", reason, statement=statement)
    findings = tuple(finding for finding in (dates.finding(), left_out()) if finding)
    if findings:
        yield Batch(DOSE_ROWS.empty_table(), statement=statement, findings=findings)


def written_cells(path: Path, source: SourceDescription, lines: Collection[int]) -> dict[int, dict[str, str]]:
    """The mapped cells of some good lines as the file has them, by line and canonical column; reads no further.

    Raises:
        Refused, OSError: as ``read_export``.
    """
    above, pieces = split_off(read_lines(path, source.encoding), source.skip_rows + 1)
    _, places = _fitting_header(above, source)
    wanted: dict[int, dict[str, str]] = {}
    for piece in pieces:
        for line in sorted(set(lines).intersection(range(piece.first, piece.first + len(piece.texts)))):
            cells = next(csv.reader([piece.texts[line - piece.first]], delimiter=source.delimiter))
            wanted[line] = mapped_texts(cells, places)
        if len(wanted) == len(lines):
            break
    return wanted


def ignored_units(path: Path, source: SourceDescription) -> dict[str, list[str]]:
    """The ignored columns of an export that hold units of dose, with these, as its first lines show them.

    Raises:
        Refused, OSError: as ``read_export``.
    """
    above, pieces = split_off(read_lines(path, source.encoding), source.skip_rows + 1)
    header, _ = _fitting_header(above, source)
    first = next(without_footer(pieces, source.footer_pattern), None)
    lines = [line for line in split(first.texts if first else [], source.delimiter) if len(line) == len(header)]
    found = {
        column: units_of(cell for line in lines if (cell := line[place].strip()) not in ("", *source.null_tokens))
        for place, column in enumerate(header)
        if column in map(_same, source.ignored_columns)
    }
    return {column: units for column, units in found.items() if units}


def places_in(path: Path, source: SourceDescription) -> tuple[frozenset[int], frozenset[int]]:
    """Where the mapped and the ignored columns stand in the lines of an export.

    Raises:
        Refused, OSError: as ``read_export``.
    """
    above, _ = split_off(read_lines(path, source.encoding), source.skip_rows + 1)
    header, places = _fitting_header(above, source)
    mapped = frozenset(place for places_of_name in places.values() for place in places_of_name)
    return mapped, frozenset(range(len(header))) - mapped


# --- header --------------------------------------------------------------------------------------------------------


def _refused(reason: str) -> Refused:
    return Refused("quarantined", reason)


def _fitting_header(above: Sequence[str], source: SourceDescription) -> tuple[list[str], Places]:
    """The names of the columns and the places of those that are mapped.

    Raises:
        Refused: there is no header line, or it does not fit the description.
    """
    if len(above) <= source.skip_rows:
        raise _refused(f"the file has no header line: it ends before line {source.skip_rows + 1}")
    header = _header(above[-1], source)
    return header, _places(header, source)


def _header(text: str, source: SourceDescription) -> list[str]:
    line = source.skip_rows + 1
    if UNREADABLE in text:
        raise _refused(f"the header line (line {line}) holds bytes that are not {source.encoding}")
    try:
        cells = next(csv.reader([text], delimiter=source.delimiter, strict=True))
    except (csv.Error, StopIteration):
        raise _refused(f"the header line (line {line}) is not readable as CSV") from None
    return [_same(cell) for cell in cells]


def _same(name: str) -> str:
    """A column name, so that names which look the same are the same (the two micro signs, composed accents)."""
    return unicodedata.normalize("NFKC", name).strip()


def _places(header: Sequence[str], source: SourceDescription) -> Places:
    """Where the mapped columns stand.

    Raises:
        Refused: a mapped column is missing or there twice, or a column is neither mapped nor ignored.
    """
    mapped = {_same(column): None for column in source.mapped_columns}
    ignored = {_same(column) for column in source.ignored_columns}
    complaints = {
        "missing": [column for column in mapped if column not in header],
        "unknown": [column for column in header if column not in mapped and column not in ignored],
        "repeated": [column for column in mapped if header.count(column) > 1],
    }
    if complaints["missing"] and not mapped.keys() & set(header):
        complaints["unknown"] = []  # no header at all, then: its cells may be a row and name a person
    said = [f"{kind} column {_shown(columns)}" for kind, columns in complaints.items() if columns]
    if said:
        where = f"the header (line {source.skip_rows + 1}) does not fit sources/{source.source_id}.yaml"
        raise _refused(f"{where}: {'; '.join(said)}")
    return {
        name: tuple(header.index(_same(column)) for column in (*columns, *_unit_column(source, name)))
        for name, columns in source.columns.items()
    }


def _unit_column(source: SourceDescription, name: str) -> tuple[str, ...]:
    """The column whose cell ends the text of a dose, if each row has its own unit."""
    return (source.unit_column[name],) if name in source.unit_column else ()


def _shown(columns: Sequence[str]) -> str:
    shown = [repr(column[:_LONGEST_COLUMN_SHOWN]) for column in columns[:_MOST_COLUMNS_SHOWN]]
    more = len(columns) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


# --- lines ---------------------------------------------------------------------------------------------------------


class _PieceReader:
    """Reads pieces of an export whose header fits."""

    def __init__(self, source: SourceDescription, header: Sequence[str], places: Places) -> None:
        self._source = source
        self._width = len(header)
        self._rows = RowReader(source, places)
        self._last_name = self._name_of_last(source, header, places)
        self._above: Sequence[str] = ()  # the lines of the piece before

    @staticmethod
    def _name_of_last(source: SourceDescription, header: Sequence[str], places: Places) -> str | None:
        """The canonical name of the last column; None if it is ignored, and of units: no part of one is another."""
        if header[-1] in map(_same, source.unit_column.values()):
            return None
        return next((name for name, indices in places.items() if len(header) - 1 in indices), None)

    def read(self, piece: Lines) -> Batch:
        """The records of a piece."""
        batch = self._read_plainly(piece) or self._read_carefully(piece)
        self._above = piece.texts or self._above
        batch.bytes_read = piece.bytes_read
        return batch

    def _read_plainly(self, piece: Lines) -> Batch | None:
        """The records of a piece in which no line is blank, quoted or damaged as a whole; None of another one."""
        if not piece.is_ended or UNREADABLE in "".join(piece.texts):
            return None
        columns = plain_columns(piece.texts, self._source.delimiter, self._width)
        return None if columns is None else self._rows.read(_numbers(piece), columns)

    def _read_carefully(self, piece: Lines) -> Batch:
        """The records of a piece some of whose lines may be blank or damaged as a whole."""
        numbers, cells = _numbers(piece), split(piece.texts, self._source.delimiter)
        cut_line = None if piece.is_ended else numbers[-1]
        good: list[int] = []
        damaged: list[RejectedRow] = []
        for index, (line, text) in enumerate(zip(numbers.tolist(), piece.texts, strict=True)):
            damage = self._damage(text, cells[index], is_cut=line == cut_line)
            if damage:
                damaged.append(RejectedRow(line, damage, NO_CELLS))
            elif not is_blank(text):
                good.append(index)
        return self._rows.read(numbers[good], columns_of([cells[index] for index in good], self._width), damaged)

    def _damage(self, text: str, cells: Cells, *, is_cut: bool) -> str | None:
        """What is wrong with a line as a whole."""
        if is_blank(text):
            return None
        if UNREADABLE in text:
            return f"holds bytes that are not {self._source.encoding}"
        if not cells:
            return "has broken quotes, or a field of more than 131072 characters"
        incomplete = "is an incomplete last line: it " if is_cut else ""
        if len(cells) != self._width:
            return f"{incomplete}has {len(cells)} fields where the header has {self._width}"
        if is_cut and self._may_be_cut(text, cells[-1]):
            return f"{incomplete}has no line end, so its {self._last_name} may be cut; export it again"
        return None

    def _may_be_cut(self, text: str, last_cell: str) -> bool:
        lines = split(self._above, self._source.delimiter)
        above = [cells[-1] for cells in lines if len(cells) == self._width]
        return may_be_cut(self._source, self._last_name, text, last_cell, above)


def _numbers(piece: Lines) -> LineNumbers:
    return np.arange(piece.first, piece.first + len(piece.texts))
