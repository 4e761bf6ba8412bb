"""One cell of a reference CSV: text to a typed value, or what is wrong with it and what to do.

Types of columns are in ``site/reference.py``; cells of badge exports, spelled as their source describes, are in
``ingest/dosimeters``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from ingest.problems import did_you_mean
from ingest.times import Clock, UnreadableTime

Value = str | date | datetime | Decimal | int | bool | None
CellType = Literal["text", "date", "instant", "boolean", "decimal", "integer", "zone", "email"]

FIRST_DATE, LAST_DATE = date(1900, 1, 1), date(2100, 12, 31)  # a year outside is a slip of the pen


class CellError(ValueError):
    """What is wrong with a value and what to do, without quoting it."""


def read_cell(text: str, cell_type: CellType, zone: ZoneInfo) -> Value:
    """The value of a trimmed cell; an empty one is unknown (None) in every type.

    Args:
        text: the cell.
        cell_type: how to read it.
        zone: of the site; for times that carry none.

    Raises:
        CellError: it cannot be read so.
    """
    return _READERS[cell_type](text, zone) if text else None


def exact(value: Decimal) -> Decimal:
    """A number as DECIMAL(18,9) holds it, rounded half-even."""
    return value.quantize(Decimal("0.000000001"), ROUND_HALF_EVEN)


def known_zone(name: str) -> str:
    """The name of a time zone, as it came.

    Raises:
        CellError: the IANA database has no such zone.
    """
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # a folder of the database raises OSError
        meant = _meant_zone(name)
        advice = f"did you mean {meant}?" if meant else "write one such as Europe/Madrid"
        raise CellError(f"is not an IANA time zone; {advice}") from None
    return name


def _meant_zone(name: str) -> str | None:
    """The zone that is spelt nearly so, or, of a city alone, that of the city."""
    zones = sorted(available_timezones())
    if meant := did_you_mean(name, zones):
        return meant
    cities = {zone.rpartition("/")[2]: zone for zone in zones if "/" in zone}
    city = did_you_mean(name.rpartition("/")[2].replace(" ", "_"), cities)
    return cities[city] if city else None


def mail_address(text: str) -> str:
    """A mail address, as it came; only what is not one address, or would break a letter's header, is refused.

    Raises:
        CellError: not one address.
    """
    if not re.fullmatch(r"[^@\s<>,;:\"]+@[^@\s<>,;:\"]+", text):
        raise CellError("is not a mail address; write one such as name@hospital.example")
    return text


def _date(text: str, _zone: ZoneInfo) -> date:
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII):
        raise CellError("is not an ISO date; write YYYY-MM-DD")
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise CellError("is not a day of the calendar; write YYYY-MM-DD") from None
    if not FIRST_DATE <= day <= LAST_DATE:
        raise CellError(f"must be between {FIRST_DATE} and {LAST_DATE}")
    return day


def _instant(text: str, zone: ZoneInfo) -> datetime:
    if not re.match(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}", text, re.ASCII):
        raise CellError("is not an ISO time; write YYYY-MM-DDTHH:MM:SS")
    _date(text[:10], zone)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise CellError("is not an ISO time; write YYYY-MM-DDTHH:MM:SS") from None
    return moment if moment.tzinfo else _local(moment, zone)


def _local(moment: datetime, zone: ZoneInfo) -> datetime:
    """A time without zone as the site's clocks show it, refused where they show it twice or never."""
    try:
        instant = Clock(zone, dst=True).instant(moment)
    except UnreadableTime as error:
        raise CellError(str(error)) from None
    if instant.later is not None:
        raise CellError(f"happens twice in {zone.key}; write the offset too, such as +01:00")
    return instant.at


def _boolean(text: str, _zone: ZoneInfo) -> bool:
    try:
        return {"true": True, "false": False}[text.lower()]
    except KeyError:
        raise CellError("must be true or false") from None


def _decimal(text: str, _zone: ZoneInfo) -> Decimal:
    if not re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,3})?", text, re.ASCII):
        raise CellError("is not a number; write it with a point, such as 1.06")
    value = Decimal(text)
    if abs(value) >= Decimal(10) ** 9:
        raise CellError("must be below a thousand million")
    return exact(value)


def _integer(text: str, _zone: ZoneInfo) -> int:
    if not re.fullmatch(r"[-+]?\d{1,9}", text, re.ASCII):
        raise CellError("is not a whole number")
    return int(text)


_READERS: dict[CellType, Callable[[str, ZoneInfo], Value]] = {
    "text": lambda text, _zone: text,
    "date": _date,
    "instant": _instant,
    "boolean": _boolean,
    "decimal": _decimal,
    "integer": _integer,
    "zone": lambda text, _zone: known_zone(text),
    "email": lambda text, _zone: mail_address(text),
}
