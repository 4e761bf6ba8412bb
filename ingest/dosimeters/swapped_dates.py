"""Whether day and month of an export's dates were swapped by a spreadsheet that reads them in another country's order.

Days up to 12 can be swapped; a spreadsheet leaves the others as text, and their rows are rejected. So the dates that
are left have days up to 12 only, and those of a few weeks are spread over the year.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from ingest.dosimeters.description import SourceDescription
from ingest.records import Finding
from ingest.times import Clock

SWAPPED_DATES = "swapped_dates"
FEWEST_DATES, TIMES_CLOSER = 3, 4  # three dates on one day of three months are chance in sparse exports only
_LAST_SWAPPABLE_DAY = 12


class SeenDates:
    """The local dates on which rows of an export begin."""

    def __init__(self, source: SourceDescription) -> None:
        self._clock = Clock(ZoneInfo(source.timezone), source.dst)
        self._dates: set[date] = set()

    def add(self, rows: pa.Table) -> None:
        """Take the dates of some rows (``DOSE_ROWS``)."""
        # Local days begin at full quarters of an hour in every zone, so that few instants stand for all.
        begins = pc.floor_temporal(rows["started_at"].drop_null(), multiple=15, unit="minute").unique()
        self._dates |= {self._clock.date_of(at) for at in begins.to_pylist()}

    def finding(self) -> Finding | None:
        """The sign that day and month were swapped, if the dates give one."""
        if len(self._dates) < FEWEST_DATES or any(day.day > _LAST_SWAPPABLE_DAY for day in self._dates):
            return None
        swapped = {date(day.year, day.day, day.month) for day in self._dates}
        if _days(self._dates) < TIMES_CLOSER * _days(swapped):
            return None
        message = (
            f"{len(self._dates)} dates from {min(self._dates)} to {max(self._dates)}, none after the 12th of a month, "
            f"would be from {min(swapped)} to {max(swapped)} with day and month swapped: did a spreadsheet swap them? "
            "Export it again and do not save it from a spreadsheet"
        )
        return Finding(SWAPPED_DATES, message, field="started_at")


def _days(dates: Collection[date]) -> int:
    """How many days lie from the first to the last of them, both counted."""
    return (max(dates) - min(dates)).days + 1
