"""Doses behind which a badge is below detection, in words: what they are at least, and at most.

Pure wording. An unknown is never written with the digits of a measurement, and what is at most is rounded up.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Decimal

from orchestration.figures.wording import NO_BREAK_SPACE, Wording
from orchestration.letters.letter import NOT_KNOWN

MSV_STEP = Decimal("0.01")
USV_STEP = Decimal(1)
PERCENT_STEP = Decimal("0.1")
_ALL_DIGITS = 28  # a rounded number is written as it is


def range_text(low: float | None, high: float | None, words: Wording, unit: str, step: Decimal) -> str:
    """Write a dose that lies between two values.

    Args:
        low: with results below detection as 0; None: no dose is known.
        high: with them as the limit of detection; None: a service does not state its limit.
        words: the reader's language.
        unit: of both; may be empty.
        step: to which both are rounded where they differ.
    """
    if low is None:
        return NOT_KNOWN
    if high is not None and high <= low:
        return _with_unit(words.number(low), unit)
    at_least = _rounded(low, step, ROUND_HALF_EVEN)
    if high is None:
        if not at_least:
            return words.say("below_detection.not_stated")
        return words.say("below_detection.in_part", low=_with_unit(_written(at_least, words), unit))
    at_most = _written(_rounded(high, step, ROUND_CEILING), words)
    if not at_least:
        return f"<{NO_BREAK_SPACE}{_with_unit(at_most, unit)}"
    return words.say("below_detection.at_most", low=_with_unit(_written(at_least, words), unit), high=at_most)


def _rounded(value: float, step: Decimal, rounding: str) -> Decimal:
    # Published values are DOUBLE; the shortest text that reads back as one is what was meant.
    return (Decimal(repr(value)) / step).to_integral_value(rounding) * step


def _written(value: Decimal, words: Wording) -> str:
    return words.number(value, _ALL_DIGITS)


def _with_unit(text: str, unit: str) -> str:
    return f"{text}{NO_BREAK_SPACE}{unit}".rstrip()
