"""Whether a file of rate samples has lost the seconds of its times, as one that was saved by a spreadsheet has.

The sign: rows that share badge, quantity, time and hub with an earlier row of the file, at any
values. Rows of a local time that happens twice are never such a sign.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ingest.dosimeters.description import SourceDescription
from ingest.dosimeters.lines import footer_of, is_blank, read_lines, split_off

LOST_SHARE, LOST_ROWS = Fraction(1, 100), 10  # contract version 2, section 1: more than both
_SERIES = ("dosimeter_serial", "quantity", "hub")
_BYTE_ORDER_MARK = "\ufeff"  # in the middle of a file: it was put together from several

Times = npt.NDArray[np.int64]  # microseconds


class Repeats(NamedTuple):
    """Rows of a file, and how many of them are at a time that an earlier row of their series has."""

    rows: int
    repeating: int

    def are_lost_seconds(self) -> bool:
        """Whether there are too many of them for a clock that counts seconds."""
        return self.repeating > LOST_ROWS and self.repeating > LOST_SHARE * self.rows

    def of_half(self) -> Repeats:
        """Those of the first half of a file whose second half is the same again."""
        half = self.rows // 2
        return Repeats(self.rows - half, self.repeating - half)


class SeenTimes:
    """The times of a file's rows; keeps eight bytes of each, so that they are counted exactly."""

    def __init__(self) -> None:
        self._times: defaultdict[tuple[str, ...], list[Times]] = defaultdict(list)
        self._rows = 0

    def add(self, rows: pa.Table) -> None:
        """Take the times of some rows (``DOSE_ROWS``)."""
        once = rows.filter(pc.invert(rows["is_ambiguous"])).select([*_SERIES, "started_at"])
        self._rows += len(once)
        series = once.group_by(list(_SERIES)).aggregate([("started_at", "distinct")])
        for row, names in enumerate(zip(*(series[name].to_pylist() for name in _SERIES), strict=True)):
            times = series["started_at_distinct"][row].values
            self._times[names].append(times.cast(pa.int64()).to_numpy())

    def repeats(self) -> Repeats:
        """How many of them repeat an earlier one of their series."""
        distinct = sum(_distinct(np.concatenate(times)) for times in self._times.values())
        return Repeats(self._rows, self._rows - distinct)


def _distinct(times: Times) -> int:
    """How many different times there are, at least one; nearly all exports are in the order of time already."""
    return 1 + int(np.count_nonzero(np.diff(np.sort(times, kind="stable"))))


def lost_seconds(path: Path, source: SourceDescription, seen: SeenTimes) -> str | None:
    """Why a file is refused whose rows were all seen; None if its times have their seconds.

    A file that is its first half repeated is judged as that half.

    Raises:
        OSError: the file cannot be read again.
    """
    repeats = seen.repeats()
    if repeats.are_lost_seconds() and _is_first_half_repeated(path, source):
        repeats = repeats.of_half()
    if not repeats.are_lost_seconds():
        return None
    return (
        f"{repeats.repeating} rows repeat badge and time of an earlier row: were seconds lost in a spreadsheet? "
        "Export it again and do not save it from a spreadsheet"
    )


def _is_first_half_repeated(path: Path, source: SourceDescription) -> bool:
    """Whether the second half of the rows is the first half again, with or without the lines around them."""
    count = sum(1 for _ in _row_texts(path, source))
    first, second = (_row_texts(path, source) for _ in range(2))
    halves = zip(islice(first, count // 2), islice(second, count // 2, None), strict=False)
    return count % 2 == 0 and all(one == other for one, other in halves)


def _row_texts(path: Path, source: SourceDescription) -> Iterator[str]:
    """The lines of a file that are neither its header, nor above it, nor a footer, wherever they stand."""
    above, pieces = split_off(read_lines(path, source.encoding), source.skip_rows + 1)
    is_footer, no_rows = footer_of(source.footer_pattern), set(above)
    texts = (text.lstrip(_BYTE_ORDER_MARK) for piece in pieces for text in piece.texts)
    return (text for text in texts if not (is_blank(text) or text in no_rows or is_footer(text)))
