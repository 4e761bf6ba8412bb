"""Columns of an export as the records that its lines state, by layout.

Files, lines and headers are in ``lines.py`` and ``reader.py``,
numbers in ``doses.py``, clocks in ``ingest/times.py``. Each distinct text of a column is read once: exports
have millions of rows and repeat themselves.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from itertools import product
from operator import attrgetter
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ingest.dosimeters.cells import Cells, Columns
from ingest.dosimeters.description import SourceDescription
from ingest.dosimeters.doses import UNIT_MARK, UnreadableDose, reading_reader
from ingest.dosimeters.layouts import LAYOUTS, PEAK_RATE, QUANTITIES, SpanKind
from ingest.dosimeters.statement import Statement, stated_in
from ingest.records import DOSE_ROWS, Finding, RejectedDose, RejectedRow, Stated
from ingest.times import Clock, UnreadableTime, date_reader, instant_reader, seconds_apart

LineNumbers = npt.NDArray[np.int64]
Places = Mapping[str, tuple[int, ...]]  # where the columns of a canonical name stand in a line
Span = dict[str, pa.Array]  # the columns of DOSE_ROWS that say when

Values = tuple[Any, ...]  # what one text says, of the types in _TYPES
Parse = Callable[[str], Values | None]  # from a trimmed text; None if it says nothing; raises one of _UNREADABLE

_DOSES = (*QUANTITIES, PEAK_RATE)
_INSTANT, _DOSE, _TEXT, _DATE = pa.timestamp("us", "UTC"), pa.decimal128(18, 9), pa.string(), pa.date32()
_TYPES: dict[str, tuple[pa.DataType, ...]] = {
    **dict.fromkeys(("dosimeter_serial", "hub", "study_instance_uid", "accession_number"), (_TEXT,)),
    **dict.fromkeys(("started_at", "ended_at"), (_INSTANT, _INSTANT)),  # the second of a local time that happens twice
    **dict.fromkeys(("period_begin", "period_end"), (_DATE, _INSTANT)),  # and the instant that it is the midnight of
    **dict.fromkeys(_DOSES, (_DOSE, _TEXT)),  # a value or a token
}
_BLANKS = "".join(filter(str.isspace, map(chr, range(0x3001))))  # what str.strip() takes away

# A spreadsheet that opens a report made of these names must not run them, so no name begins like a formula.
_FORMULA_STARTS = tuple("=+-@'")
_UID = re.compile(r"[0-9]+(\.[0-9]+)*", re.ASCII)
_LONGEST_LABEL, _LONGEST_UID = 128, 64  # PS3.5: a UID has at most 64 characters
_ONE_DAY = timedelta(days=1)


class UnreadableText(ValueError):
    """A text that cannot be what it should; it tells why, as the end of a sentence about its column."""


_UNREADABLE = (UnreadableDose, UnreadableTime, UnreadableText)


@dataclass(slots=True)
class Batch:
    """What some consecutive lines of an export say.

    Attributes:
        rows: as ``DOSE_ROWS``.
        rejected: lines that cannot be read.
        rejected_doses: what these lines state.
        statement: of the file up to them, whether or not it can be read.
        findings: oddities of the file as a whole, with its end.
        bytes_read: of the file up to them, for telling progress.
    """

    rows: pa.Table
    rejected: list[RejectedRow] = field(default_factory=list)
    rejected_doses: list[RejectedDose] = field(default_factory=list)
    statement: tuple[Stated, ...] = ()
    findings: tuple[Finding, ...] = ()
    bytes_read: int = 0


class RowReader:
    """Reads lines of one export that have as many cells as its header."""

    def __init__(self, source: SourceDescription, places: Places) -> None:
        self._source = source
        self._places = places
        self._readings = {name: reading_reader(source, name) for name in _DOSES if name in places}
        self._parsers = _parsers(source) | self._readings
        self._quantities = [quantity for quantity in QUANTITIES if quantity in places]
        self._span = _span(source)
        self._statement = Statement(self._quantities)

    def read(self, lines: LineNumbers, columns: Columns, damaged: Sequence[RejectedRow] = ()) -> Batch:
        """The records of some lines: hp10 of all of them, then hp007, then hp3.

        A line is read as a whole or refused as a whole. One whose doses are all null or unused tokens was read and
        states nothing: it gives no record and is not refused.

        Args:
            lines: numbers of the lines whose cells can be told apart.
            columns: their cells.
            damaged: the lines between them whose cells cannot.
        """
        table = _Table(self._source, self._places, self._parsers, columns)
        said = {"line": pa.array(lines), "dosimeter_serial": table.value("dosimeter_serial")}
        said |= self._span(table)
        said |= {name: table.value(name) for name in ("hub", "study_instance_uid", "accession_number")}
        said["peak_rate_usv_per_h"] = table.value(PEAK_RATE)
        doses = {quantity: table.values(quantity) for quantity in self._quantities}
        parts = [
            _stated(said | {"quantity": pa.repeat(quantity, len(lines)), "value_usv": value, "token": token}, table)
            for quantity, (value, token) in doses.items()
        ]
        rejected = [
            RejectedRow(int(lines[index]), reason, self._raw([column[index].as_py() for column in columns]))
            for index, reason in table.flaws.items()
        ]
        for quantity in self._quantities:
            self._statement.add_cells(quantity, table.texts(quantity), self._readings[quantity])
        self._statement.add_damaged(len(damaged))
        return Batch(
            pa.concat_tables(parts),
            sorted([*rejected, *damaged], key=attrgetter("line")),
            [*self._rejected_doses(lines, table), *self._may_state(damaged)],
            self._statement.so_far(),
        )

    def _rejected_doses(self, lines: LineNumbers, table: _Table) -> Iterator[RejectedDose]:
        """What refused lines state; a line is refused as a whole, so a dose in it may well be readable."""
        for index, quantity in product(table.flaws, self._quantities):
            reading = stated_in(self._readings[quantity], table.texts(quantity)[index].as_py())
            if reading is not None:
                yield RejectedDose(int(lines[index]), quantity, reading.value)

    def _may_state(self, damaged: Sequence[RejectedRow]) -> Iterator[RejectedDose]:
        """Of each line whose cells cannot be told apart every quantity, for it may be in it."""
        return (RejectedDose(row.line, quantity, None) for row, quantity in product(damaged, self._quantities))

    def _raw(self, cells: Cells) -> str:
        """What is kept of a refused line holds the mapped columns only: who wears a badge stands in the others."""
        return json.dumps(mapped_texts(cells, self._places), ensure_ascii=False)


def _stated(said: Mapping[str, pa.Array], table: _Table) -> pa.Table:
    """The rows that state a dose and stand in no refused line."""
    rows = pa.Table.from_arrays([said[name] for name in DOSE_ROWS.names], schema=DOSE_ROWS)
    is_stated = pc.or_(said["value_usv"].is_valid(), said["token"].is_valid())
    if table.flaws:
        is_stated = pc.and_(is_stated, table.is_readable())
    return rows if is_stated.true_count == len(rows) else rows.filter(is_stated)


def mapped_texts(cells: Cells, places: Places) -> dict[str, str]:
    """The mapped cells of a line as the file has them, by canonical column."""
    return {name: _joined([cells[index] for index in indices]) for name, indices in places.items()}


# --- columns -------------------------------------------------------------------------------------------------------


class _Table:
    """The values of some lines by canonical column, and why lines of them cannot be read.

    Attributes:
        flaws: the first thing that was found wrong with a line, by its index.
    """

    def __init__(
        self, source: SourceDescription, places: Places, parsers: Mapping[str, Parse], columns: Columns
    ) -> None:
        self.flaws: dict[int, str] = {}
        self._source = source
        self._places = places
        self._parsers = parsers
        self._columns = columns
        self._n_lines = len(columns[0])
        self._texts: dict[str, pa.StringArray] = {}
        self._values: dict[str, list[pa.Array]] = {}

    def value(self, name: str) -> pa.Array:
        """The first value of each line's text in one column; null where there is none, and if it is not mapped."""
        return self.values(name)[0]

    def values(self, name: str) -> list[pa.Array]:
        """All values of each line's text in one column; what cannot be read has none, and a flaw that names it."""
        if name not in self._values:
            self._values[name] = self._read(name)
        return self._values[name]

    def refuse(self, reason: str, is_so: pa.BooleanArray) -> None:
        """Note what is wrong with some lines."""
        for index in np.flatnonzero(is_so).tolist():
            self.flaws.setdefault(index, reason)

    def is_readable(self) -> pa.BooleanArray:
        """Whether each line has no flaw."""
        readable = np.ones(self._n_lines, dtype=np.bool_)
        readable[list(self.flaws)] = False
        return pa.array(readable)

    def texts(self, name: str) -> pa.StringArray:
        """The text of each line in a mapped column."""
        if name not in self._texts:
            columns = [self._columns[index] for index in self._places[name]]
            self._texts[name] = _with_units(columns) if name in self._source.unit_column else _trimmed(columns)
        return self._texts[name]

    def _read(self, name: str) -> list[pa.Array]:
        if name not in self._places:
            return [pa.nulls(self._n_lines, value_type) for value_type in _TYPES[name]]
        texts = self.texts(name)
        if name in _DOSES:  # which texts state no dose is known where doses are read
            return self._parsed(name, texts)
        texts = self._unless_empty(name, texts)
        if _TYPES[name][0] != _INSTANT:
            return self._parsed(name, texts)
        texts, seconds = seconds_apart(texts, self._source.datetime_format)
        return [pc.add(moments, seconds) for moments in self._parsed(name, texts)]

    def _unless_empty(self, name: str, texts: pa.StringArray) -> pa.StringArray:
        """Texts; null where they say nothing."""
        is_empty = pc.is_in(texts, pa.array([*self._source.null_tokens, ""]))
        if name in LAYOUTS[self._source.layout].required:
            self.refuse(f"{name} is empty", is_empty)
        return pc.if_else(is_empty, None, texts)

    def _parsed(self, name: str, texts: pa.StringArray) -> list[pa.Array]:
        """The values of each text; each distinct one is parsed once."""
        coded, parse = texts.dictionary_encode(), self._parsers[name]
        values: list[Values | None] = []
        reasons: dict[int, str] = {}
        for place, text in enumerate(coded.dictionary.to_pylist()):
            try:
                values.append(parse(text))
            except _UNREADABLE as error:
                values.append(None)
                reasons[place] = f"{name} {error}"
        if reasons:
            codes = coded.indices.fill_null(-1).to_numpy()
            for index in np.flatnonzero(np.isin(codes, list(reasons))).tolist():
                self.flaws.setdefault(index, reasons[codes[index]])
        return [
            pa.array([value and value[place] for value in values], value_type).take(coded.indices)
            for place, value_type in enumerate(_TYPES[name])
        ]


def _with_units(columns: Columns) -> pa.StringArray:
    """The text of a dose in each line, whose last cell is its unit."""
    return pc.binary_join_element_wise(_trimmed(columns[:-1]), _trimmed(columns[-1:]), UNIT_MARK)


def _trimmed(columns: Columns) -> pa.StringArray:
    """``_joined`` of each line's cells."""
    trimmed = [pc.utf8_trim(column, _BLANKS) for column in columns]
    if len(trimmed) == 1:
        return trimmed[0]
    return pc.utf8_trim(pc.binary_join_element_wise(*trimmed, " "), _BLANKS)


def _joined(cells: Iterable[str]) -> str:
    """Cells joined by one blank (contract: columns), without blanks around any of them."""
    return " ".join(map(str.strip, cells)).strip()


def _parsers(source: SourceDescription) -> dict[str, Parse]:
    """How each column that states no dose is read."""
    clock = Clock(ZoneInfo(source.timezone), source.dst)
    instant, day = instant_reader(source.datetime_format, clock), date_reader(source.datetime_format)
    return {
        **dict.fromkeys(("dosimeter_serial", "hub", "accession_number"), _label),
        "study_instance_uid": _uid,
        **dict.fromkeys(("started_at", "ended_at"), instant),
        "period_begin": lambda text: (begin := day(text), clock.day_start(begin)),
        "period_end": lambda text: (end := day(text), clock.day_start(end + _ONE_DAY)),
    }


def _label(text: str) -> tuple[str]:
    """The name or number of something: a badge, a hub, an accession."""
    if text.startswith(_FORMULA_STARTS):
        raise UnreadableText("begins like a spreadsheet formula")
    if not text.isprintable() or '"' in text:
        raise UnreadableText("holds a quote or a character that cannot be printed")
    if len(text) > _LONGEST_LABEL:
        raise UnreadableText(f"has more than {_LONGEST_LABEL} characters")
    return (text,)


def _uid(text: str) -> tuple[str]:
    if len(text) > _LONGEST_UID or not _UID.fullmatch(text):
        raise UnreadableText("is not a DICOM UID")
    return (text,)


# --- the time that a dose belongs to -------------------------------------------------------------------------------


def _span(source: SourceDescription) -> Callable[[_Table], Span]:
    """A function from the cells of some lines to when their doses were measured."""
    sample = timedelta(microseconds=int(source.sample_seconds * 1_000_000))
    of_kind: dict[SpanKind, Callable[[_Table], Span]] = {
        "sample": partial(_from_start, length=sample),
        "hour": partial(_from_start, length=timedelta(hours=1)),
        "reading": partial(_from_start, length=None),
        "session": _from_start_to_end,
        "study": _of_study,
        "period": _of_period,
    }
    return of_kind[LAYOUTS[source.layout].span]


def _from_start(table: _Table, length: timedelta | None) -> Span:
    """From a stated time, for as long as a row lasts where its layout says so; a counter's reading has no length."""
    start, later = table.values("started_at")
    return _of_clock(start, pc.add(start, pa.scalar(length, pa.duration("us"))), later.is_valid(), later.is_valid())


def _from_start_to_end(table: _Table) -> Span:
    """From one stated time to the other; an end that happens twice is the earlier one that is not before the start."""
    (start, later_start), (end, later_end) = table.values("started_at"), table.values("ended_at")
    is_before, is_later_before = (pc.less(at, start).fill_null(False) for at in (end, later_end))
    table.refuse("ended_at is before started_at", pc.and_(is_before, pc.or_(later_end.is_null(), is_later_before)))
    is_ambiguous = pc.or_(later_start.is_valid(), later_end.is_valid())
    return _of_clock(start, pc.if_else(is_before, later_end, end), is_ambiguous, later_start.is_valid())


def _of_study(table: _Table) -> Span:
    is_nameless = pc.and_(table.value("study_instance_uid").is_null(), table.value("accession_number").is_null())
    table.refuse("study_instance_uid and accession_number are both empty", is_nameless)
    # Its study names a total, and not the time.
    return _from_start_to_end(table) | {"is_start_doubled": pa.repeat(False, len(is_nameless))}


def _of_period(table: _Table) -> Span:
    (first, begin), (last, end) = table.values("period_begin"), table.values("period_end")
    table.refuse("period_end is before period_begin", pc.less(last, first).fill_null(False))
    never = pa.repeat(False, len(first))
    return {
        "started_at": begin,
        "ended_at": end,
        "is_ambiguous": never,
        "is_start_doubled": never,
        "period_begin": first,
        "period_end": last,
    }


def _of_clock(start: pa.Array, end: pa.Array, is_ambiguous: pa.BooleanArray, is_start_doubled: pa.BooleanArray) -> Span:
    no_date = pa.nulls(len(start), _DATE)
    return {
        "started_at": start,
        "ended_at": end,
        "is_ambiguous": is_ambiguous,
        "is_start_doubled": is_start_doubled,
        "period_begin": no_date,
        "period_end": no_date,
    }
