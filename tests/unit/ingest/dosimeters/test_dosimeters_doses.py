"""Dose cells: exact, rounded once, in every spelling of numbers and units."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.exports import COLUMNS, source

from ingest.dosimeters.doses import Reading, UnreadableDose, reading_reader
from ingest.units import BADGE_UNITS, RATE_PERIODS_S


def dose(text: str, layout: str = "sessions", **changes: Any) -> Decimal | None:
    reading = reading_reader(source(layout, **changes), "hp10")(text)
    assert reading is not None
    return reading.value


@pytest.mark.parametrize(
    ("text", "decimal", "thousands", "value"),
    [
        ("1234.5", ".", None, "1234.5"),
        ("1.234,5", ",", ".", "1234.5"),
        ("1234,5", ",", ".", "1234.5"),
        ("1 234 567,5", ",", " ", "1234567.5"),
        ("1\u202f234,5", ",", " ", "1234.5"),
        ("1\u00a0234,5", ",", " ", "1234.5"),
        ("1'234.5", ".", "'", "1234.5"),
        ("1\u2019234.5", ".", "'", "1234.5"),
        ("1,234.5", ".", ",", "1234.5"),
        ("1,2E-03", ",", None, "0.0012"),
        (".5", ".", None, "0.5"),
        ("+5", ".", None, "5"),
        ("-0.0", ".", None, "0"),
        ("0.0000000005", ".", None, "0"),
        ("0.0000000015", ".", None, "0.000000002"),
        ("10000000", ".", None, "10000000"),
    ],
)
def test_numbers(text: str, decimal: str, thousands: str | None, value: str) -> None:
    assert str(dose(text, decimal=decimal, thousands=thousands)) == str(Decimal(value).quantize(Decimal("1e-9")))


@pytest.mark.parametrize(
    ("text", "decimal", "thousands"),
    [("1.2", ",", None), ("1.23", ",", "."), ("12.34,5", ",", "."), ("1,234", ".", None), ("1 234", ".", None),
     ("2.", ".", None), (".", ".", None), ("", ".", None), ("e5", ".", None), ("1e", ".", None), ("1e9999", ".", None),
     ("5 uSv", ".", None), ("0x10", ".", None), ("١", ".", None), ("1_000", ".", None), ("--1", ".", None)],
)  # fmt: skip
def test_what_is_no_number_in_this_spelling_is_refused(text: str, decimal: str, thousands: str | None) -> None:
    with pytest.raises(UnreadableDose):
        dose(text, decimal=decimal, thousands=thousands, null_tokens=[])


@pytest.mark.parametrize("layout", COLUMNS)
def test_a_counter_s_reading_has_the_same_limits(layout: str) -> None:
    unit = "Sv/s" if layout == "rate_samples" else "Sv"
    changes: dict[str, Any] = {"units": {"hp10": unit}}
    if layout == "badge_periods":
        changes["datetime_format"] = "%d/%m/%Y"
    assert dose("10", layout, **changes) == Decimal(10_000_000)
    for text in ("10.000000001", "-0.000000001"):
        with pytest.raises(UnreadableDose):
            dose(text, layout, **changes)


@given(
    value=st.decimals(0, 1000, places=6),
    unit=st.sampled_from(sorted(BADGE_UNITS)),
    period=st.sampled_from(sorted(RATE_PERIODS_S)),
    seconds=st.integers(1, 60),
)
def test_a_rate_is_rounded_once_and_half_even(value: Decimal, unit: str, period: str, seconds: int) -> None:
    """Compared with rational numbers, which do not round at all."""
    exact = Fraction(value) * Fraction(BADGE_UNITS[unit]) * seconds / RATE_PERIODS_S[period]
    description = source("rate_samples", units={"hp10": f"{unit}/{period}"}, sample_seconds=seconds)
    read = reading_reader(description, "hp10")
    if exact > 10_000_000:
        with pytest.raises(UnreadableDose):
            read(str(value))
    else:
        nanosieverts = round(exact * 1_000_000_000)  # Python rounds fractions half-even
        assert read(str(value)) == Reading(Decimal(nanosieverts).scaleb(-9))
