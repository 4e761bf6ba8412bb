"""DICOM dates, times and UTC offsets as written: DA, TM, DT and Timezone Offset From UTC, never moved.

Which zone applies where the report says none is decided in dbt: it needs the room.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta

_DATE = re.compile(r"(\d{4})[.-]?(\d\d)[.-]?(\d\d)")  # with points: ACR-NEMA
_TIME = re.compile(r"(\d\d):?(\d\d)(?::?(\d\d)(?:[.,](\d+))?)?")
# DT of PS3.5, also with the separators of ISO 8601; a date alone, or with an offset behind it, says no time of day.
_DATE_TIME = re.compile(
    r"(\d{8}|\d{4}-\d\d-\d\d)[T ]?(\d\d:?\d\d(?::?\d\d(?:[.,]\d+)?)?) ?(Z|(?:UTC|GMT)?[+-][\d:]{1,5})?"
)
_OFFSET = re.compile(r"(?:UTC|GMT)?\s*([+-])(\d\d?)(?::?(\d\d))?", re.IGNORECASE)
FIRST_X_RAYS = 1895
_ZERO_OFFSETS = frozenset({"Z", "UTC", "GMT"})
_EARLIEST_OFFSET, _LATEST_OFFSET = -12 * 60, 14 * 60  # PS3.5: DT


def parse_date(text: str) -> date | None:
    """A DA value, or None if it is none or before there were X-rays: a clock that never was set."""
    matched = _DATE.fullmatch(text.strip())
    try:
        day = date(*map(int, matched.groups())) if matched else None
    except ValueError:
        return None
    return day if day and day.year >= FIRST_X_RAYS else None


def parse_time(text: str) -> timedelta | None:
    """A TM value with hours and minutes at least, as time since midnight; more than six decimals are cut.

    Second 60, a leap second, is the next full minute: after 23:59 that is a whole day.
    """
    matched = _TIME.fullmatch(text.strip())
    if not matched:
        return None
    hours, minutes, seconds, fraction = matched.groups()
    if int(hours) > 23 or int(minutes) > 59 or int(seconds or 0) > 60:
        return None
    if int(seconds or 0) == 60:
        return timedelta(hours=int(hours), minutes=int(minutes) + 1)
    micro = int((fraction or "0")[:6].ljust(6, "0"))
    return timedelta(hours=int(hours), minutes=int(minutes), seconds=int(seconds or 0), microseconds=micro)


def parse_date_time(text: str) -> tuple[datetime, str | None] | None:
    """A DT value that says at least the minute: local time without zone, and its UTC suffix as written, if any."""
    matched = _DATE_TIME.fullmatch(text.strip())
    if not matched:
        return None
    local = join(parse_date(matched[1]), parse_time(matched[2]))
    return (local, matched[3]) if local else None


def join(day: date | None, time: timedelta | None) -> datetime | None:
    """Local date and time of day as one value without zone; None if either is missing, or after the last year."""
    if day is None or time is None or (day == date.max and time >= timedelta(days=1)):
        return None
    return datetime(day.year, day.month, day.day) + time  # noqa: DTZ001


def parse_offset(text: str) -> int | None:
    """Minutes east of UTC: ``-0400``, ``+01:00``, ``UTC-04:00`` (GE), ``-4``, ``Z``; None if it is none of these."""
    text = text.strip().replace("\u2212", "-")
    if text.upper() in _ZERO_OFFSETS:
        return 0
    matched = _OFFSET.fullmatch(text)
    if not matched or int(matched[3] or 0) > 59:
        return None
    minutes = (int(matched[2]) * 60 + int(matched[3] or 0)) * (-1 if matched[1] == "-" else 1)
    return minutes if _EARLIEST_OFFSET <= minutes <= _LATEST_OFFSET else None
