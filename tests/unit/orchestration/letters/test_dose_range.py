"""What is below detection is written as a range, rounded so that it never says more than is known."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.figures.wording import LANGUAGES, NO_BREAK_SPACE, wording
from orchestration.letters.dose_range import MSV_STEP, PERCENT_STEP, USV_STEP, range_text


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0.00483, 0.00483 + 0.05, "< 0.06 mSv"),  # 0.00483 mSv where the badge under the apron was below detection
        (0.00483, None, "below detection (limit not stated)"),
        (0.12, 0.42, "0.12 mSv, at most 0.42"),
        (0.1249, 0.4201, "0.12 mSv, at most 0.43"),
        (0.12, None, "0.12 mSv, in part below detection (limit not stated)"),
        (0.00483, 0.00483, "0.00483 mSv"),  # measured
        (17.79, 17.79, "17.8 mSv"),
        (0.0, 0.0, "0 mSv"),
        (None, None, "—"),
    ],
)
def test_a_range_says_what_is_known(low: float | None, high: float | None, said: str) -> None:
    assert range_text(low, high, wording("en"), "mSv", MSV_STEP).replace(NO_BREAK_SPACE, " ") == said


def test_a_range_follows_language_unit_and_step() -> None:
    said = [range_text(5.2, 54.9, wording(language), "µSv", USV_STEP) for language in LANGUAGES]
    assert [text.replace(NO_BREAK_SPACE, " ") for text in said] == [
        "5 µSv, at most 55",
        "5 µSv, au plus 55",
        "5 µSv, como máximo 55",
    ]
    assert range_text(0.024, 0.27, wording("fr"), "%", PERCENT_STEP) == f"<{NO_BREAK_SPACE}0,3{NO_BREAK_SPACE}%"


@given(st.floats(0, 1000), st.floats(0, 1000))
def test_what_is_at_most_is_never_rounded_down_and_small_unknowns_have_no_digits(one: float, other: float) -> None:
    low, high = sorted((one, other))
    text = range_text(low, high, wording("en"), "", MSV_STEP)
    if low < high:
        *at_least, at_most = text.replace(f"<{NO_BREAK_SPACE}", "").replace(",", "").replace(" at most", "").split()
        assert Decimal(at_most) >= Decimal(repr(high))
        assert Decimal(at_most) - Decimal(repr(high)) <= MSV_STEP
        assert bool(at_least) == (low > 0.005)
