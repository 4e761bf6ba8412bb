"""Local times of badge clocks as instants: doubled and missing hours, clocks without summer time, formats."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.times import Clock, Instant, UnreadableTime, date_reader, format_problem, instant_reader, seconds_apart

MADRID = ZoneInfo("Europe/Madrid")
SUMMER, STANDARD = Clock(MADRID, dst=True), Clock(MADRID, dst=False)
GERMAN = "%d.%m.%Y %H:%M:%S"
WALL_CLOCK = st.datetimes(datetime(1990, 1, 2), datetime(2099, 12, 30))  # noqa: DTZ001 - local by definition
ZONES = ["Europe/Madrid", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Africa/Casablanca", "UTC"]


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]


@pytest.mark.parametrize(
    ("clock", "text", "at", "later"),
    [
        (SUMMER, "15.01.2024 12:00:00", utc(2024, 1, 15, 11), None),
        (SUMMER, "15.07.2024 12:00:00", utc(2024, 7, 15, 10), None),
        (STANDARD, "15.07.2024 12:00:00", utc(2024, 7, 15, 11), None),
        (SUMMER, "27.10.2024 02:30:07", utc(2024, 10, 27, 0, 30, 7), utc(2024, 10, 27, 1, 30, 7)),
        (SUMMER, "27.10.2024 01:59:59", utc(2024, 10, 26, 23, 59, 59), None),
        (SUMMER, "27.10.2024 03:00:00", utc(2024, 10, 27, 2), None),
        (STANDARD, "27.10.2024 02:30:07", utc(2024, 10, 27, 1, 30, 7), None),
        (STANDARD, "31.03.2024 02:30:00", utc(2024, 3, 31, 1, 30), None),
        (Clock(ZoneInfo("Europe/Dublin"), dst=False), "15.07.2024 12:00:00", utc(2024, 7, 15, 12), None),
        (Clock(ZoneInfo("Africa/Casablanca"), dst=False), "20.03.2024 12:00:00", utc(2024, 3, 20, 11), None),
        (Clock(ZoneInfo("America/Inuvik"), dst=False), "15.07.2024 12:00:00", utc(2024, 7, 15, 19), None),
    ],
)
def test_local_time_becomes_the_right_instant(clock: Clock, text: str, at: datetime, later: datetime | None) -> None:
    assert instant_reader(GERMAN, clock)(text) == Instant(at, later)


def test_a_time_that_does_not_exist_is_refused_only_where_the_clock_goes_forward() -> None:
    with pytest.raises(UnreadableTime, match="does not exist in Europe/Madrid"):
        instant_reader(GERMAN, SUMMER)("31.03.2024 02:30:00")


@pytest.mark.parametrize("text", ["2024-10-27T02:30:00+02:00", "2024-10-27T00:30:00Z", "20241027T003000Z"])
def test_an_offset_in_the_text_leaves_nothing_doubled(text: str) -> None:
    assert instant_reader("iso8601", SUMMER)(text) == Instant(utc(2024, 10, 27, 0, 30), None)


def test_strptime_offset_is_honoured() -> None:
    assert instant_reader("%Y-%m-%d %H:%M:%S %z", SUMMER)("2024-10-27 02:30:00 +0100").at == utc(2024, 10, 27, 1, 30)


@pytest.mark.parametrize(
    "text",
    ["", "2024-03-04", "2024-03-04T08", "2024-03-04x08:00:00", "2024-W10-1T08:00:00", "2024-02-30T08:00:00",
     "2024-03-04T24:00:00", "2024-03-04T08:00:60", "2024-03-04T08:00:0", "٢٠٢٤-03-04T08:00:00", "1989-12-31T23:00:00",
     "2100-01-01T00:00:00", "1900-01-01T00:00:00", "04.03.2024 08:00:00"],
)  # fmt: skip
def test_iso_refuses_what_says_no_instant(text: str) -> None:
    with pytest.raises(UnreadableTime):
        instant_reader("iso8601", SUMMER)(text)


@pytest.mark.parametrize(
    "text", ["", "9", "09", "04.03.2024", "04.03.2024 08:09:61", "4.3.2024 25:00:00", "32.03.2024 08:00:00", "45355,34"]
)
def test_strptime_refuses_what_says_no_instant(text: str) -> None:
    with pytest.raises(UnreadableTime):
        instant_reader(GERMAN, SUMMER)(text)


@given(
    moment=WALL_CLOCK,
    zone=st.sampled_from(ZONES),
    dst=st.booleans(),
    datetime_format=st.sampled_from([GERMAN, "iso8601", "%Y%m%d%H%M%S", "%m/%d/%Y %I:%M:%S %p"]),
)
def test_seconds_added_to_a_minute_are_what_the_whole_text_says(
    moment: datetime, zone: str, dst: bool, datetime_format: str
) -> None:
    """Exports are read by the minute, with the seconds added; the whole text at once must say the same."""
    moment = moment.replace(microsecond=0)
    text = moment.isoformat() if datetime_format == "iso8601" else moment.strftime(datetime_format)
    clock = Clock(ZoneInfo(zone), dst)
    read = instant_reader(datetime_format, clock)
    try:
        expected = clock.instant(moment)
    except UnreadableTime:
        with pytest.raises(UnreadableTime):
            read(text)
    else:
        (minute,), (seconds,) = (part.to_pylist() for part in seconds_apart(pa.array([text]), datetime_format))
        at, later = read(minute)
        assert (at + seconds, later and later + seconds) == read(text) == expected


@pytest.mark.parametrize(
    ("datetime_format", "text", "minute", "seconds"),
    [
        ("iso8601", "2024-03-04T08:00:59.5Z", "2024-03-04T08:00:00.5Z", 59),
        ("iso8601", "2024-03-04 08:00", "2024-03-04 08:00", 0),
        ("iso8601", "20240304T080059", "20240304T080059", 0),
        ("iso8601", "2024-03-04T08:00:60", "2024-03-04T08:00:60", 0),
        ("iso8601", "2024-03-04T08:00١00", "2024-03-04T08:00١00", 0),
        (GERMAN, "04.03.2024 08:00:59", "04.03.2024 08:00:00", 59),
        (GERMAN, "04.03.2024 08:00:5", "04.03.2024 08:00:5", 0),
        (GERMAN, "04.03.2024 08:00:٥٩", "04.03.2024 08:00:٥٩", 0),
        (GERMAN, "59", "59", 0),
        (GERMAN, "", "", 0),
        (GERMAN, None, None, 0),
        ("%H:%M:%S %d.%m.%Y", "08:00:59 04.03.2024", "08:00:59 04.03.2024", 0),
        ("%Y%m%d%H%M%S", "20240304080059", "20240304080059", 0),
    ],
)
def test_only_seconds_in_their_place_are_taken_apart(
    datetime_format: str, text: str | None, minute: str | None, seconds: int
) -> None:
    minutes, apart = seconds_apart(pa.array([text], pa.string()), datetime_format)
    assert (minutes.to_pylist(), apart.fill_null(0).to_pylist()) == ([minute], [timedelta(seconds=seconds)])


@given(moment=WALL_CLOCK, zone=st.sampled_from(ZONES))
def test_instants_lead_back_to_the_time_on_the_wall(moment: datetime, zone: str) -> None:
    try:
        instant = Clock(ZoneInfo(zone), dst=True).instant(moment)
    except UnreadableTime:
        return
    for at in instant:
        assert at is None or at.astimezone(ZoneInfo(zone)).replace(tzinfo=None) == moment


@given(
    day=st.dates(date(1990, 1, 1), date(2099, 12, 31)), zone=st.sampled_from([*ZONES, "Africa/Cairo", "Asia/Beirut"])
)
def test_a_day_starts_with_its_first_instant(day: date, zone: str) -> None:
    start = Clock(ZoneInfo(zone), dst=True).day_start(day)
    assert start.astimezone(ZoneInfo(zone)).date() == day
    assert (start - timedelta(microseconds=1)).astimezone(ZoneInfo(zone)).date() == day - timedelta(days=1)


def test_dates() -> None:
    assert date_reader("%d/%m/%Y")("01/03/2024") == date(2024, 3, 1)
    assert date_reader("iso8601")("2024-03-01") == date(2024, 3, 1)
    with pytest.raises(UnreadableTime):
        date_reader("iso8601")("01/03/2024")
    with pytest.raises(UnreadableTime):
        date_reader("%d/%m/%Y")("01/03/1900")


@pytest.mark.parametrize(
    ("text", "datetime_format", "said"),
    [
        ("2024-03-04T24:00:00", "iso8601", "hour 24"),
        ("04.03.2024 24:00", "%d.%m.%Y %H:%M", "hour 24"),
        ("45355.375", "iso8601", "spreadsheets"),
        ("45355,375", "%d.%m.%Y %H:%M", "spreadsheets"),
        ("04.03.2024", "%d.%m.%Y %H:%M", "not of the form"),
    ],
)
def test_known_spellings_that_say_no_instant_are_refused_by_name(text: str, datetime_format: str, said: str) -> None:
    with pytest.raises(UnreadableTime, match=said):
        instant_reader(datetime_format, SUMMER)(text)


@pytest.mark.parametrize(
    ("datetime_format", "needs_hour", "said"),
    [
        ("iso8601", True, None),
        (GERMAN, True, None),
        ("%m/%d/%y %I:%M %p", True, None),
        ("%d/%m/%Y", False, None),
        ("%d/%m/%Y", True, "does not tell the hour"),
        ("%d/%m %H:%M", True, "does not tell the year"),
        ("%d.%m.%Y %I:%M", True, "does not tell the hour"),
        ("%d.%m.%Y %H:%M %Z", True, "%Z"),
        ("dd.mm.yyyy", True, "does not tell the year and month"),
        ("%d.%d.%Y", False, "neither iso8601 nor"),
        ("%Q", False, "neither iso8601 nor"),
        ("%d.%m.%Y %", False, "neither iso8601 nor"),
    ],
)
def test_format_must_tell_date_and_hour(datetime_format: str, needs_hour: bool, said: str | None) -> None:
    problem = format_problem(datetime_format, needs_hour=needs_hour)
    assert problem is None if said is None else said in (problem or "")
