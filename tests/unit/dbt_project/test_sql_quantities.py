"""The macros that every model takes its days, shares and moved instants from, against Python's calendar."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import duckdb
import jinja2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import paths

MACROS = (paths.DBT_PROJECT / "macros/quantities.sql").read_text("utf-8")
# Summer time that begins or ends at midnight, offsets of quarters of an hour, half an hour of summer time, a day that
# never was (Samoa, 30 December 2011).
ZONES = (
    "America/Havana",
    "Asia/Beirut",
    "America/Sao_Paulo",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Europe/Madrid",
)
EPOCH = datetime(2008, 1, 1, tzinfo=UTC)
INSTANTS = st.timedeltas(timedelta(0), timedelta(days=22 * 365)).map(lambda since: EPOCH + since)
DOSES = st.decimals(Decimal(0), Decimal(10_000_000), places=9)


@pytest.fixture(scope="module")
def con() -> duckdb.DuckDBPyConnection:
    con = duckdb.connect()
    con.execute("set TimeZone = 'UTC'")
    return con


def sql(call: str) -> str:
    return jinja2.Environment().from_string(f"{MACROS}{{{{ {call} }}}}").render().strip()  # noqa: S701 - SQL


def local_date(con: duckdb.DuckDBPyConnection, at: datetime, zone: str) -> date:
    query = "select " + sql("local_date('$at', '$zone')")
    (found,) = con.execute(query, {"at": at, "zone": zone}).fetchone() or ()
    assert isinstance(found, date)
    return found


@settings(deadline=None)
@given(at=INSTANTS, zone=st.sampled_from(ZONES))
def test_a_local_date_is_the_calendars(con: duckdb.DuckDBPyConnection, at: datetime, zone: str) -> None:
    assert local_date(con, at, zone) == at.astimezone(ZoneInfo(zone)).date()


@pytest.mark.parametrize(
    ("zone", "at", "local"),
    [
        # 00:00 becomes 01:00: the day begins an hour late.
        ("America/Havana", datetime(2024, 3, 10, 4, 59, 59, tzinfo=UTC), date(2024, 3, 9)),
        ("America/Havana", datetime(2024, 3, 10, 5, tzinfo=UTC), date(2024, 3, 10)),
        # 01:00 becomes 00:00 of the same day; in Beirut 24:00 becomes 23:00, and the day before goes on.
        ("America/Havana", datetime(2024, 11, 3, 5, 30, tzinfo=UTC), date(2024, 11, 3)),
        ("Asia/Beirut", datetime(2022, 10, 29, 21, 30, tzinfo=UTC), date(2022, 10, 29)),
        ("Asia/Beirut", datetime(2022, 10, 29, 22, tzinfo=UTC), date(2022, 10, 30)),
        ("Asia/Kathmandu", datetime(2024, 5, 1, 18, 15, tzinfo=UTC), date(2024, 5, 2)),
    ],
)
def test_midnight_where_the_clocks_change(con: duckdb.DuckDBPyConnection, zone: str, at: datetime, local: date) -> None:
    assert local_date(con, at, zone) == local


@settings(deadline=None)
@given(dose=DOSES, days=st.integers(1, 400))
def test_the_shares_of_all_days_are_the_dose(con: duckdb.DuckDBPyConnection, dose: Decimal, days: int) -> None:
    share = sql("share_of_day('cast($dose as decimal(18, 9))', 'day', '$days')")
    query = f"select {share} from range(1, $days + 1) as of_days(day)"
    shares = con.execute(query, {"dose": dose, "days": days}).fetchall()
    assert sum(share for (share,) in shares) == dose
    assert max(shares)[0] - min(shares)[0] <= Decimal("1e-9")


@settings(deadline=None)
@given(at=INSTANTS, micros=st.integers(-(10**15), 10**15))
def test_an_instant_is_moved_to_the_microsecond(con: duckdb.DuckDBPyConnection, at: datetime, micros: int) -> None:
    moved = sql("moved_by('$at', 'cast($seconds as decimal(18, 6))')")
    seconds = Decimal(micros) / 1_000_000
    (found,) = con.execute(f"select {moved}", {"at": at, "seconds": seconds}).fetchone() or ()
    assert found == at + timedelta(microseconds=micros)
