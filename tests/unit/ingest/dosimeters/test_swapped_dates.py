"""Dates whose day and month a spreadsheet swapped, and dates in the future: named before loading and after it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from rich.console import Console
from support.exports import source
from support.small_site import RATES, files, make_site, rows, run, write

from ingest.dosimeters.reader import read_export
from ingest.records import Finding
from orchestration.console.check_file import check_export


def finding(folder: Path, days: Iterable[date], layout: str = "hourly_totals", **changes: Any) -> Finding | None:
    """The oddity of an export with rows at night, in the morning and in the last hour of these days."""
    path = folder / "export.csv"
    lines = [f"B1;{day}T{hour}:00;1" for day in days for hour in ("00", "09", "23")]
    path.write_text("\n".join(["badge;at;dose", *lines, ""]))
    found = [odd for batch in read_export(path, source(layout, **changes)) for odd in batch.findings]
    assert len(found) <= 1
    return found[0] if found else None


def swapped(days: Iterable[date]) -> list[date]:
    """What a spreadsheet leaves as dates: those whose day can be a month, with both swapped."""
    return [date(day.year, day.day, day.month) for day in days if day.day <= 12]


def days_from(first: date, count: int) -> list[date]:
    return [first + timedelta(days=n) for n in range(count)]


@pytest.mark.parametrize("dst", [True, False])
@pytest.mark.parametrize("zone", ["Europe/Madrid", "America/New_York", "Asia/Kathmandu"])
def test_a_week_whose_days_and_months_are_swapped(tmp_path: Path, zone: str, dst: bool) -> None:
    week = days_from(date(2024, 7, 4), 5)
    found = finding(tmp_path, swapped(week), timezone=zone, dst=dst)
    assert found is not None
    assert (found.code, found.field) == ("swapped_dates", "started_at")
    assert found.message.startswith(
        "5 dates from 2024-04-07 to 2024-08-07, none after the 12th of a month, "
        "would be from 2024-07-04 to 2024-07-08 with day and month swapped"
    )
    assert finding(tmp_path, week, timezone=zone, dst=dst) is None


def test_over_the_end_of_a_month_and_of_two_months(tmp_path: Path) -> None:
    assert finding(tmp_path, swapped(days_from(date(2024, 2, 27), 9))) is not None
    assert finding(tmp_path, swapped(days_from(date(2024, 3, 1), 50))) is not None


@pytest.mark.parametrize(
    "days",
    [
        [date(2024, 4, 3)],
        [date(2024, 4, 3), date(2024, 5, 3)],  # two dates are chance
        [date(2024, 4, 3), date(2024, 5, 3), date(2024, 6, 13)],  # the last cannot be swapped
        days_from(date(2024, 3, 1), 12),
        days_from(date(2024, 1, 1), 366),
        [date(2024, 3, 1), date(2024, 3, 4), date(2024, 4, 8), date(2024, 5, 6)],  # a room that is seldom used
    ],
)
def test_dates_that_are_no_sign(tmp_path: Path, days: list[date]) -> None:
    assert finding(tmp_path, days) is None


def test_readings_and_periods_may_be_of_one_day_of_each_month(tmp_path: Path) -> None:
    assert finding(tmp_path, [date(2024, month, 1) for month in range(1, 13)], "counter_log") is None


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dates(date(2020, 1, 1), date(2024, 11, 30)), st.integers(3, 21))
def test_any_days_in_a_row_are_found_swapped_and_never_as_they_are(tmp_path: Path, first: date, count: int) -> None:
    days = days_from(first, count)
    assume(days[0].year == days[-1].year)
    assert finding(tmp_path, days) is None
    left = swapped(days)
    if days[-1].month == first.month and len(left) >= 4:
        assert finding(tmp_path, left) is not None


# --- in a site -----------------------------------------------------------------------------------------------------


def swapped_export() -> str:
    lines = [
        f"B1;{day}T10:00:{second:02};3600;BASE" for day in swapped(days_from(date(2024, 3, 4), 5)) for second in (0, 1)
    ]
    return "\n".join(["Badge;Time;Rate;Hub", *lines, ""])


def said(root: Path, export: Path) -> str:
    out = StringIO()
    assert check_export(root, export, Console(file=out, width=500), lambda *_: None)
    return out.getvalue()


def test_a_file_with_swapped_dates_is_loaded_and_named(tmp_path: Path) -> None:
    root = make_site(tmp_path / "site")
    export = write(root, f"{RATES}/a.csv", swapped_export())
    assert "with day and month swapped: did a spreadsheet swap them?" in said(root, export)
    run(root)
    assert files(root) == {f"{RATES}/a.csv": ["loaded", None]}
    assert rows(root, "select load_seq, path, line, field, code from raw.finding") == [
        (1, f"{RATES}/a.csv", None, "started_at", "swapped_dates")
    ]
    assert rows(root, "select rows_stated from raw.file_statement") == [(10,)]


def test_check_counts_rows_in_the_future(tmp_path: Path) -> None:
    root, today = make_site(tmp_path / "site"), datetime.now(UTC)
    lines = [f"B1;{today + timedelta(days=days):%Y-%m-%dT%H:%M:%S};1;BASE" for days in (-1, 0, 4, 400)]
    export = write(root, f"{RATES}/a.csv", "\n".join(["Badge;Time;Rate;Hub", *lines, ""]))
    assert "Later than tomorrow, so in no figure yet: 2 rows." in said(root, export)
    write(root, f"{RATES}/a.csv", "\n".join(["Badge;Time;Rate;Hub", *lines[:2], ""]))
    assert "Later than tomorrow" not in said(root, export)
