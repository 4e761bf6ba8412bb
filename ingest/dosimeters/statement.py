"""What an export states, counted from its cells while it is read: rows and microsievert of each quantity.

A path of its own beside records and rejected rows (``rows.py``): each distinct text is counted as often as it occurs,
so that the balance of the ledger (``ledger.file_balance``) fails if a row is lost between cells and raw tables.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from ingest.dosimeters.doses import Reading, UnreadableDose
from ingest.records import Stated

Read = Callable[[str], Reading | None]  # from the text of a dose cell; see doses.reading_reader
_UNREADABLE = Reading(None)


def stated_in(read: Read, text: str) -> Reading | None:
    """What a dose cell states: without a value if it cannot be read, None for a null or unused token."""
    try:
        return read(text)
    except UnreadableDose:
        return _UNREADABLE


class Statement:
    """What the lines of one export state so far."""

    def __init__(self, quantities: Sequence[str]) -> None:
        self._rows = dict.fromkeys(quantities, 0)
        self._usv = dict.fromkeys(quantities, Decimal(0))

    def add_cells(self, quantity: str, texts: pa.StringArray, read: Read) -> None:
        """Count the cells of one dose column in some lines."""
        counted = pc.value_counts(texts)
        for text, count in zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True):
            reading = stated_in(read, text)
            if reading is not None:
                self._rows[quantity] += count
                if reading.value:
                    self._usv[quantity] += reading.value * count

    def add_damaged(self, n_lines: int) -> None:
        """Count lines whose cells cannot be told apart: each may state a dose of every quantity."""
        for quantity in self._rows:
            self._rows[quantity] += n_lines

    def so_far(self) -> tuple[Stated, ...]:
        """The sums up to here."""
        return tuple(Stated(quantity, rows, self._usv[quantity]) for quantity, rows in self._rows.items())
