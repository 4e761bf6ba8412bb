"""Lines of an export as the records that they state, by layout.

Knows what the canonical columns mean. Files, lines and headers are the matter of ``lines.py`` and ``reader.py``,
numbers that of ``doses.py``, clocks that of ``ingest/times.py``. Works column by column: exports have millions of rows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import lru_cache
from itertools import compress
from typing import Any
from zoneinfo import ZoneInfo

from ingest.dosimeters.description import SourceDescription
from ingest.dosimeters.doses import UnreadableDose, reading_reader
from ingest.dosimeters.layouts import LAYOUTS, PEAK_RATE, QUANTITIES, SpanKind
from ingest.records import DoseRow, RejectedRow
from ingest.times import Clock, Instant, UnreadableTime, date_reader, instant_reader

Cells = list[str]
Places = Mapping[str, tuple[int, ...]]  # where the columns of a canonical name stand in a line
Parse = Callable[..., Any]  # from the trimmed text of a cell to its value; raises one of _UNREADABLE

# started_at, ended_at, is_ambiguous, period_begin, period_end of a DoseRow
Span = tuple[datetime | None, datetime | None, bool, date | None, date | None]

# A spreadsheet that opens a report made of these names must not run them, so no name begins like a formula.
_FORMULA_STARTS = tuple("=+-@'")
_UID = re.compile(r"[0-9]+(\.[0-9]+)*", re.ASCII)
_LONGEST_LABEL, _LONGEST_UID = 128, 64  # PS3.5: a UID has at most 64 characters
_DAY = timedelta(days=1)


class UnreadableText(ValueError):
    """A text that cannot be what it should; it tells why, as the end of a sentence about its column."""


_UNREADABLE = (UnreadableDose, UnreadableTime, UnreadableText)


@dataclass(slots=True)
class Batch:
    """What some consecutive lines of an export say; ``bytes_read`` of the file up to them, for telling progress."""

    rows: list[DoseRow] = field(default_factory=list)
    rejected: list[RejectedRow] = field(default_factory=list)
    bytes_read: int = 0


class RowReader:
    """Reads lines of one export that have as many cells as its header."""

    def __init__(self, source: SourceDescription, places: Places) -> None:
        self._places = places
        self._parsers = _parsers(source, places)
        self._quantities = [quantity for quantity in QUANTITIES if quantity in places]
        self._spans = _spans(source)

    def read(self, lines: Sequence[int], rows: Sequence[Cells]) -> Batch:
        """The records of some lines: hp10 of all of them, then hp007, then hp3.

        A line is read as a whole or refused as a whole. One whose doses are all null or unused tokens was read and
        states nothing: it gives no record and is not refused.
        """
        table = _Table(self._places, self._parsers, rows)
        badges, spans = table.values("dosimeter_serial"), self._spans(table)
        studies, accessions = table.values("study_instance_uid"), table.values("accession_number")
        hubs, peaks = table.values("hub"), table.values(PEAK_RATE)
        doses = {quantity: table.values(quantity) for quantity in self._quantities}
        batch = Batch(rejected=[self._rejected(lines[i], rows[i], table.flaws[i]) for i in sorted(table.flaws)])
        readable = [index not in table.flaws for index in range(len(rows))]
        for quantity, readings in doses.items():
            stated = zip(lines, badges, readings, spans, hubs, peaks, studies, accessions, strict=True)
            batch.rows += [
                DoseRow(
                    line,
                    badge,
                    quantity,
                    dose.value,
                    dose.token,
                    start,
                    end,
                    is_ambiguous,
                    hub,
                    peak and peak.value,
                    study,
                    accession,
                    begin,
                    last,
                )
                for line, badge, dose, (start, end, is_ambiguous, begin, last), hub, peak, study, accession in (
                    compress(stated, readable) if table.flaws else stated
                )
                if dose is not None
            ]
        return batch

    def _rejected(self, line: int, cells: Cells, reason: str) -> RejectedRow:
        """Its raw text holds the mapped columns only: who wears a badge stands in the others."""
        return RejectedRow(line, reason, json.dumps(mapped_texts(cells, self._places), ensure_ascii=False))


def mapped_texts(cells: Cells, places: Places) -> dict[str, str]:
    """The mapped cells of a line as the file has them, by canonical column."""
    return {name: _joined([cells[index] for index in indices]) for name, indices in places.items()}


# --- columns -------------------------------------------------------------------------------------------------------


class _Table:
    """The cells of some lines by canonical column, and why lines of them cannot be read.

    Attributes:
        flaws: the first thing that was found wrong with a line, by its index.
    """

    def __init__(self, places: Places, parsers: Mapping[str, Parse], rows: Sequence[Cells]) -> None:
        self.flaws: dict[int, str] = {}
        self._places = places
        self._parsers = parsers
        self._columns = list(zip(*rows, strict=True))
        self._nothing = [None] * len(rows)

    def values(self, name: str) -> list[Any]:
        """The values of one column; None where there is none, and in every line if the column is not mapped."""
        if name not in self._places or not self._columns:
            return self._nothing
        return self.each(name, self._parsers[name], self._texts(self._places[name]))

    def each(self, name: str, parse: Parse, *columns: Sequence[Any]) -> list[Any]:
        """``parse`` of each line's values; what it cannot read gets None and a flaw that begins so."""
        try:
            return list(map(parse, *columns))
        except _UNREADABLE:
            return [self._one(index, name, parse, values) for index, values in enumerate(zip(*columns, strict=True))]

    def _one(self, index: int, name: str, parse: Parse, values: tuple[Any, ...]) -> Any:  # noqa: ANN401 - any column
        try:
            return parse(*values)
        except _UNREADABLE as error:
            self.flaws.setdefault(index, f"{name} {error}")
            return None

    def _texts(self, indices: tuple[int, ...]) -> list[str]:
        if len(indices) == 1:
            return list(map(str.strip, self._columns[indices[0]]))
        return list(map(_joined, zip(*(self._columns[index] for index in indices), strict=True)))


def _joined(cells: Iterable[str]) -> str:
    """Cells joined by one blank (contract: columns), without blanks around any of them."""
    return " ".join(map(str.strip, cells)).strip()


def _parsers(source: SourceDescription, places: Places) -> dict[str, Parse]:
    """How each mapped column is read; what was read is remembered, for exports repeat themselves."""
    layout = LAYOUTS[source.layout]
    instant, day = instant_reader(source.datetime_format, _clock(source)), date_reader(source.datetime_format)
    length = _row_lengths(source)
    kinds: dict[str, Parse] = {
        "dosimeter_serial": _label,
        "hub": _label,
        "accession_number": _label,
        "study_instance_uid": _uid,
        "started_at": _span_reader(instant, length[layout.span]) if layout.span in length else instant,
        "ended_at": instant,
        "period_begin": day,
        "period_end": day,
    }
    nothing = {*source.null_tokens, ""}
    parsers = {
        name: _remembered(parse, nothing, is_needed=name in layout.required)
        for name, parse in kinds.items()
        if name in places
    }
    return parsers | {name: reading_reader(source, name) for name in (*QUANTITIES, PEAK_RATE) if name in places}


def _remembered(parse: Parse, nothing: Set[str], *, is_needed: bool) -> Parse:
    @lru_cache(maxsize=4096)
    def read(text: str) -> Any:  # noqa: ANN401 - of any column
        if text not in nothing:
            return parse(text)
        if is_needed:
            raise UnreadableText("is empty")
        return None

    return read


def _label(text: str) -> str:
    """The name or number of something: a badge, a hub, an accession."""
    if text.startswith(_FORMULA_STARTS):
        raise UnreadableText("begins like a spreadsheet formula")
    if not text.isprintable() or '"' in text:
        raise UnreadableText("holds a quote or a character that cannot be printed")
    if len(text) > _LONGEST_LABEL:
        raise UnreadableText(f"has more than {_LONGEST_LABEL} characters")
    return text


def _uid(text: str) -> str:
    if len(text) > _LONGEST_UID or not _UID.fullmatch(text):
        raise UnreadableText("is not a DICOM UID")
    return text


# --- the time that a dose belongs to -------------------------------------------------------------------------------


def _clock(source: SourceDescription) -> Clock:
    return Clock(ZoneInfo(source.timezone), source.dst)


def _row_lengths(source: SourceDescription) -> dict[SpanKind, timedelta | None]:
    """How long a row lasts where its layout says so; a counter's reading has no length."""
    sample = timedelta(microseconds=int(source.sample_seconds * 1_000_000))
    return {"sample": sample, "hour": timedelta(hours=1), "reading": None}


def _span_reader(instant: Callable[[str], Instant], length: timedelta | None) -> Callable[[str], Span]:
    def read(text: str) -> Span:
        at, later = instant(text)
        return at, None if length is None else at + length, later is not None, None, None

    return read


def _spans(source: SourceDescription) -> Callable[[_Table], list[Span]]:
    """A function from the cells of some lines to their spans."""
    day_start = lru_cache(maxsize=4096)(_clock(source).day_start)

    def stated(table: _Table) -> list[Span]:
        return table.each("ended_at", _between, table.values("started_at"), table.values("ended_at"))

    def of_study(table: _Table) -> list[Span]:
        table.each("study_instance_uid", _either, table.values("study_instance_uid"), table.values("accession_number"))
        return stated(table)

    def of_dates(begin: date | None, end: date | None) -> Span | None:
        if begin is None or end is None:
            return None  # a flaw of its own column
        if end < begin:
            raise UnreadableText("is before period_begin")
        return day_start(begin), day_start(end + _DAY), False, begin, end

    def of_period(table: _Table) -> list[Span]:
        return table.each("period_end", of_dates, table.values("period_begin"), table.values("period_end"))

    of_kind: dict[SpanKind, Callable[[_Table], list[Span]]] = {
        "session": stated,
        "study": of_study,
        "period": of_period,
    }
    return of_kind.get(LAYOUTS[source.layout].span, lambda table: table.values("started_at"))


def _between(start: Instant | None, end: Instant | None) -> Span:
    """From one stated time to the other; an end that happens twice is the earlier one that is not before the start."""
    ends = [at for at in end or () if at is not None and (start is None or at >= start.at)]
    if end and not ends:
        raise UnreadableText("is before started_at")
    is_ambiguous = any(instant and instant.later for instant in (start, end))
    return start and start.at, min(ends, default=None), is_ambiguous, None, None


def _either(study: str | None, accession: str | None) -> None:
    if study is None and accession is None:
        raise UnreadableText("and accession_number are both empty")
