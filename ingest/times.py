"""Times of a badge system's clock as UTC instants: formats, zones, and the hours that are doubled or missing.

Text, zones and the calendar, without files, columns or doses; dose reports have their own time rules
(``ingest/dose_reports/times.py``), and a wrong clock is judged in dbt.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache, lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

ISO8601 = "iso8601"
FIRST_YEAR, LAST_YEAR = 1990, 2099  # of badge records; a clock that lost its battery shows 1970 or a year near 2000

_ISO_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_ISO_INSTANT = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d([.,]\d{1,9})?)?(Z|[+-]\d\d(:?\d\d)?)?|"
    r"\d{8}T\d{4}(\d\d([.,]\d{1,9})?)?(Z|[+-]\d\d(\d\d)?)?",
    re.ASCII,
)
# Spellings that are refused by name: what they mean is a matter of opinion.
_REFUSED_SPELLINGS = (
    (re.compile(r"(?:^|[T ])24[:.h]?\d\d", re.ASCII), "says hour 24; let the export write 00:00 of the next day"),
    (
        re.compile(r"^\d{5}(?:[.,]\d+)?$", re.ASCII),
        "is a number as spreadsheets keep dates; let the export write date and time",
    ),
)
_ZERO = timedelta(0)

# Irish law calls summer time the standard and IANA follows it; a clock in Ireland that never changes shows GMT.
_STANDARD_TIME_OF = {"Europe/Dublin": ZoneInfo("UTC"), "Eire": ZoneInfo("UTC")}


class UnreadableTime(ValueError):
    """A time or date without an instant; the text is the reason, as the end of a sentence about its field."""


class Instant(NamedTuple):
    """A moment in UTC.

    Attributes:
        at: the moment; of a local time that happens twice the earlier one.
        later: the second moment of a local time that happens twice, else None.
    """

    at: datetime
    later: datetime | None = None


@dataclass(frozen=True, slots=True)
class Clock:
    """How a source's clock is set.

    Attributes:
        zone: the zone whose time it shows.
        dst: whether it is put forward in summer; if not, it shows the zone's standard time all year.
    """

    zone: ZoneInfo
    dst: bool

    def instant(self, moment: datetime) -> Instant:
        """The instant that a time names; a zone or offset that the time itself carries comes first.

        Raises:
            UnreadableTime: the clock never shows this time, or its year is no year of badge records.
        """
        if not FIRST_YEAR <= moment.year <= LAST_YEAR:
            raise UnreadableTime(f"has a year outside {FIRST_YEAR} to {LAST_YEAR}")
        if moment.tzinfo is not None:
            return Instant(moment.astimezone(UTC))
        if not self.dst:
            return Instant((moment - _standard_offset(self.zone, moment.date())).replace(tzinfo=UTC))
        first, second = (moment.replace(tzinfo=self.zone, fold=fold).astimezone(UTC) for fold in (0, 1))
        if second < first:  # in a gap the offset before it comes out later than the one after it
            raise UnreadableTime(f"does not exist in {self.zone.key}: clocks go forward over it")
        return Instant(first, second if first < second else None)

    def date_of(self, at: datetime) -> date:
        """The local date that the clock shows at an instant."""
        local = at.astimezone(self.zone)
        if not self.dst:
            local = at.astimezone(UTC) + _standard_offset(self.zone, local.date())
        return local.date()

    def day_start(self, day: date) -> datetime:
        """The instant at which a local date begins, also where summer time begins or ends at midnight."""
        midnight = datetime(day.year, day.month, day.day)  # noqa: DTZ001 - local by definition
        if not self.dst:
            return (midnight - _standard_offset(self.zone, day)).replace(tzinfo=UTC)
        return midnight.replace(tzinfo=self.zone).astimezone(UTC)


@lru_cache(maxsize=4096)
def _standard_offset(zone: ZoneInfo, day: date) -> timedelta:
    """Offset from UTC of a zone without summer time: the one last in force, at or before that day, when it had none."""
    zone = _STANDARD_TIME_OF.get(zone.key or "", zone)
    for days_back in range(1000):  # the longest summer time of our years: Cuba, 2004 to 2006
        noon = datetime(day.year, day.month, day.day, 12, tzinfo=zone) - timedelta(days=days_back)
        if noon.dst() == _ZERO:
            break
    offset = noon.utcoffset()
    assert offset is not None  # noqa: S101 - a ZoneInfo always knows its offset
    return offset


def format_problem(datetime_format: str, *, needs_hour: bool) -> str | None:
    """What is wrong with a format, as the end of a sentence, or None: it must carry a whole date, and mostly an hour.

    Args:
        datetime_format: ``iso8601`` or a strptime format.
        needs_hour: whether the date alone is too little.
    """
    if datetime_format == ISO8601:
        return None
    if "%Z" in datetime_format:
        return "must not use %Z (names of zones mean different things); use %z or the key timezone"
    probe = datetime(2031, 12, 24, 17, 48, 36, tzinfo=UTC)
    try:
        back = datetime.strptime(probe.strftime(datetime_format), datetime_format)  # noqa: DTZ007 - a probe
    except (ValueError, re.error) as error:
        return f"is neither iso8601 nor a strptime format ({error})"
    parts = ("year", "month", "day", "hour") if needs_hour else ("year", "month", "day")
    lost = [part for part in parts if getattr(back, part) != getattr(probe, part)]
    return f"does not tell the {' and '.join(lost)}" if lost else None


def instant_reader(datetime_format: str, clock: Clock) -> Callable[[str], Instant]:
    """A function from a trimmed text to its instant; it raises ``UnreadableTime``."""
    parse = _parse_iso if datetime_format == ISO8601 else _strptime(datetime_format)
    return lambda text: clock.instant(parse(text))


def seconds_apart(texts: pa.StringArray, datetime_format: str) -> tuple[pa.StringArray, pa.DurationArray]:
    """Texts of times with 00 in the place of their seconds, and these: a minute is then parsed once for all of them.

    The instant of a text is that of what is left of it and the seconds, for offsets change at full minutes. A text
    whose seconds do not stand where the format has them stays as it is.
    """
    written, durations = _seconds()
    none = durations[0]
    place = _seconds_place(datetime_format)
    if place is None:
        return texts, pa.repeat(none, len(texts))
    begin, end, literal = place
    seconds = pc.index_in(pc.utf8_slice_codeunits(texts, begin, end), written)
    is_apart = pc.and_(seconds.is_valid(), pc.equal(pc.utf8_slice_codeunits(texts, begin - 1, begin), literal))
    rest = "" if end is None else pc.utf8_slice_codeunits(texts, end)
    minutes = pc.binary_join_element_wise(pc.utf8_slice_codeunits(texts, 0, begin), "00", rest, "")
    return pc.if_else(is_apart, minutes, texts), pc.if_else(is_apart, durations.take(seconds), none)


@cache
def _seconds() -> tuple[pa.StringArray, pa.DurationArray]:
    """Each second as it is written, and how long it is. Made when asked for: Arrow imports pandas for an array."""
    return pa.array([f"{second:02}" for second in range(60)]), pa.array(range(60), pa.duration("s"))


def date_reader(datetime_format: str) -> Callable[[str], date]:
    """A function from a trimmed text to the local date in it; it raises ``UnreadableTime``."""
    parse = _parse_iso_date if datetime_format == ISO8601 else _strptime(datetime_format)

    def read(text: str) -> date:
        moment = parse(text)
        if not FIRST_YEAR <= moment.year <= LAST_YEAR:
            raise UnreadableTime(f"has a year outside {FIRST_YEAR} to {LAST_YEAR}")
        return date(moment.year, moment.month, moment.day)

    return read


class _SecondsPlace(NamedTuple):
    """Where two digits of seconds stand in a text (end None: its end), and the character that must precede them."""

    begin: int
    end: int | None
    literal: str


def _seconds_place(datetime_format: str) -> _SecondsPlace | None:
    if datetime_format == ISO8601:
        return _SecondsPlace(17, 19, ":")
    ends_in_seconds = re.search(r"([^\w%\s])%S$", datetime_format)
    return _SecondsPlace(-2, None, ends_in_seconds[1]) if ends_in_seconds else None


def _strptime(datetime_format: str) -> Callable[[str], datetime]:
    def parse(text: str) -> datetime:
        try:
            return datetime.strptime(text, datetime_format)  # noqa: DTZ007 - the clock gives the zone
        except ValueError:
            raise UnreadableTime(_refused_by_name(text) or f"is not of the form {datetime_format}") from None

    return parse


def _parse_iso(text: str) -> datetime:
    if not _ISO_INSTANT.fullmatch(text):
        raise UnreadableTime(_refused_by_name(text) or "is not an ISO 8601 date with time")
    return _from_iso(text)


def _parse_iso_date(text: str) -> datetime:
    if not (_ISO_DATE.fullmatch(text) or _ISO_INSTANT.fullmatch(text)):
        raise UnreadableTime(_refused_by_name(text) or "is not an ISO 8601 date")
    return _from_iso(text)


def _from_iso(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise UnreadableTime(_refused_by_name(text) or f"is not a real date and time ({error})") from None


def _refused_by_name(text: str) -> str | None:
    """Why a common spelling is not read here."""
    return next((why for spelling, why in _REFUSED_SPELLINGS if spelling.search(text)), None)
