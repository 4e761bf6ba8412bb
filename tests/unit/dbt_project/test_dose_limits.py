"""The seeds of dose limits: each row has value, source, year, dates and status, and no two rows contradict."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable
from datetime import date
from itertools import combinations
from pathlib import Path
from typing import get_args

import pytest

from ingest.site.reference import LIMIT_QUANTITIES, LIMIT_WINDOWS, Jurisdiction

SEEDS = Path(__file__).resolve().parents[3] / "dbt_project" / "seeds"
JURISDICTIONS = get_args(Jurisdiction)
REGIMES = ("annual_20", "five_year_100")


def seed(name: str) -> list[dict[str, str]]:
    with (SEEDS / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


LIMITS = seed("dose_limits")


def days(row: dict[str, str]) -> tuple[date, date]:
    begin, end = (date.fromisoformat(row[name]) if row[name] else None for name in ("valid_from", "valid_to"))
    return begin or date.min, end or date.max


def overlaps(rows: Iterable[dict[str, str]]) -> list[tuple[dict[str, str], dict[str, str]]]:
    pairs = combinations(rows, 2)
    return [
        (one, other) for one, other in pairs if max(days(one)[0], days(other)[0]) <= min(days(one)[1], days(other)[1])
    ]


def of(jurisdiction: str, quantity: str, window: str, group: str, on: str, regime: str = "") -> set[str]:
    """Values of the limits in force on a day."""
    return {
        row["value"]
        for row in LIMITS
        if (row["jurisdiction"], row["quantity"], row["dose_window"], row["applies_to"])
        == (jurisdiction, quantity, window, group)
        and row["lens_regime"] in ("", regime)
        and days(row)[0] <= date.fromisoformat(on) <= days(row)[1]
    }


@pytest.mark.parametrize("row", LIMITS, ids=lambda row: "-".join(list(row.values())[:6]))
def test_a_limit_has_value_source_year_dates_and_status(row: dict[str, str]) -> None:
    assert row["jurisdiction"] in JURISDICTIONS
    assert row["quantity"] in (*LIMIT_QUANTITIES, "skin")
    assert row["dose_window"] in LIMIT_WINDOWS
    assert float(row["value"]) > 0
    assert row["unit"] == "mSv"
    assert len(row["source"]) >= 10
    assert 1980 <= int(row["year"]) <= 2026
    assert row["status"] in ("confirmed", "must_confirm")
    assert days(row)[0] <= days(row)[1]
    assert row["limit_rule"].endswith(f"_{row['value']}")
    assert row["lens_regime"] in ("", *REGIMES)
    assert (row["applies_to"] == "apprentice") == (row["below_age_years"] == "18")
    assert (row["dose_window"] == "pregnancy") == (row["pregnancy_window"] in ("from_declaration", "entire_pregnancy"))
    assert (row["applies_to"] == "pregnant") == (row["dose_window"] == "pregnancy")


def test_limits_of_one_thing_do_not_overlap_in_time() -> None:
    by_thing = defaultdict(list)
    for row in LIMITS:
        names = ("jurisdiction", "quantity", "dose_window", "applies_to", "after_dose_msv")
        for regime in [row["lens_regime"]] if row["lens_regime"] else REGIMES:
            by_thing[(*(row[name] for name in names), regime)].append(row)
    assert [overlaps(rows) for rows in by_thing.values() if overlaps(rows)] == []


def test_a_jurisdiction_has_its_own_regime_on_every_day_of_its_regimes() -> None:
    regimes = seed("lens_regimes")
    defaults = defaultdict(list)
    for row in regimes:
        if row["is_default"] == "true":
            defaults[row["jurisdiction"]].append(row)
    assert [overlaps(rows) for rows in defaults.values() if overlaps(rows)] == []
    for row in regimes:
        limits = [
            limit
            for limit in LIMITS
            if (limit["jurisdiction"], limit["quantity"], limit["lens_regime"])
            == (row["jurisdiction"], "lens", row["lens_regime"])
        ]
        assert limits
        assert {days(limit) for limit in limits} == {days(row)}
    stated = {(row["jurisdiction"], row["lens_regime"]) for row in LIMITS if row["lens_regime"]}
    assert stated == {(row["jurisdiction"], row["lens_regime"]) for row in regimes}


def test_every_jurisdiction_of_site_yaml_has_limits_and_methods() -> None:
    assert {row["jurisdiction"] for row in LIMITS} == set(JURISDICTIONS)
    assert {row["jurisdiction"] for row in seed("jurisdiction_methods")} == set(JURISDICTIONS)
    for jurisdiction in JURISDICTIONS:
        for quantity in ("effective", "extremity"):
            for group in ("adult", "apprentice"):
                assert of(jurisdiction, quantity, "calendar_year", group, "2026-11-30"), (jurisdiction, quantity, group)
        assert any(of(jurisdiction, "lens", "calendar_year", "adult", "2026-11-30", regime) for regime in REGIMES)
        assert of(jurisdiction, "effective", "pregnancy", "pregnant", "2026-11-30")


def test_france_has_the_transitional_lens_limit_until_30_june_2023() -> None:
    """Issue 23, row 5: a lens limit of 50 mSv in April 2024."""
    assert of("fr", "lens", "rolling_12_months", "adult", "2023-06-30", "five_year_100") == {"50"}
    assert of("fr", "lens", "rolling_12_months", "adult", "2023-06-30", "annual_20") == set()
    for day in ("2023-07-01", "2024-04-30"):
        assert of("fr", "lens", "rolling_12_months", "adult", day, "annual_20") == {"20"}
        assert of("fr", "lens", "rolling_12_months", "adult", day, "five_year_100") == set()
        assert of("fr", "lens", "rolling_5_years", "adult", day, "five_year_100") == set()


ON = "2024-12-31"


@pytest.mark.parametrize(
    ("limit", "values"),
    [
        (("no", "extremity", "calendar_year", "apprentice"), {"150"}),
        (("us", "effective", "pregnancy", "pregnant"), {"5", "0.5"}),
        (("iaea", "lens", "calendar_year", "apprentice"), {"20"}),
        (("fr", "effective", "rolling_12_months", "category_b"), {"6"}),
        (("fr", "effective", "calendar_year", "category_b"), set()),
        *(
            (((jurisdiction, "effective", "rolling_5_years", "adult"), set()))
            for jurisdiction in ("eu", "fr", "no", "es")
        ),
        (("eu", "skin", "calendar_year", "adult"), {"500"}),
        (("de", "effective", "calendar_year", "apprentice"), {"1"}),
        (("de", "extremity", "calendar_year", "apprentice"), {"50"}),
        (("de", "uterus", "month", "adult"), {"2"}),
        (("de", "effective", "career", "adult"), {"400"}),
    ],
)
def test_limits_of_the_issue(limit: tuple[str, str, str, str], values: set[str]) -> None:
    assert of(*limit, ON) == values


def test_what_was_not_read_is_to_be_confirmed() -> None:
    for row in LIMITS:
        if (
            "not read" in row["source"]
            or "not found" in row["source"]
            or row["source"].startswith("International value")
        ):
            assert row["status"] == "must_confirm", row
    assert {row["status"] for row in LIMITS if row["jurisdiction"] == "ma"} == {"must_confirm"}
    assert all(
        "2-97-30" in row["source"] and "2-23-151" in row["source"] for row in LIMITS if row["jurisdiction"] == "ma"
    )


def test_the_unborn_child_of_the_united_states_is_limited_over_the_entire_pregnancy() -> None:
    (whole, rest) = sorted(
        (row for row in LIMITS if row["jurisdiction"] == "us" and row["dose_window"] == "pregnancy"),
        key=lambda row: row["after_dose_msv"],
    )
    assert (whole["pregnancy_window"], whole["value"], whole["after_dose_msv"]) == ("entire_pregnancy", "5", "")
    assert (rest["pregnancy_window"], rest["value"], rest["after_dose_msv"]) == ("from_declaration", "0.5", "4.5")


def test_the_default_of_iaea_is_20_on_average_over_five_years() -> None:
    (default,) = (row for row in seed("lens_regimes") if row["jurisdiction"] == "iaea" and row["is_default"] == "true")
    assert default["lens_regime"] == "five_year_100"
    assert of("iaea", "effective", "calendar_year", "adult", ON) == {"50"}
    assert of("iaea", "effective", "rolling_5_years", "adult", ON) == {"100"}
