"""One cell of a dose column: text to microsievert, exact, or why it is no dose.

Numbers, units and tokens; ``rows.py`` maps cells to quantities.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Context, Decimal
from functools import lru_cache
from typing import NamedTuple

from ingest.dosimeters.description import SourceDescription
from ingest.dosimeters.layouts import LAYOUTS, PEAK_RATE
from ingest.units import BADGE_UNITS, RATE_PERIODS_S

BELOW_DETECTION = "below_detection"
HIGHEST_DOSE_USV = Decimal(10_000_000)  # 10 Sv
HIGHEST_RATE_USV_PER_H = Decimal("999999999.999999999")  # what DECIMAL(18,9) holds: about 1000 Sv/h
LONGEST_NUMBER_CHARS = 40
UNIT_MARK = "\x1f"  # between the cells of a dose and its unit: no number and no unit holds it
_LONGEST_UNIT_SHOWN = 20

_NINTH_DIGIT = Decimal("0.000000001")
# Enough digits that nothing is rounded before the one rounding: 40 of a cell, the factors, and the quotient by 3600.
_EXACT = Context(prec=120, rounding=ROUND_HALF_EVEN)
# What French and Swiss exports put between thousands: four blanks (two do not break), two apostrophes.
_THOUSANDS = {" ": " \u00a0\u202f\u2009", ".": ".", ",": ",", "'": "'\u2019"}


class UnreadableDose(ValueError):
    """A cell that states no dose; the text tells why, as the end of a sentence about its column."""


class Reading(NamedTuple):
    """What a cell states: a value in microsievert (a rate: microsievert per hour), or a token and no value."""

    value: Decimal | None
    token: str | None = None


def reading_reader(source: SourceDescription, name: str) -> Callable[[str], Reading | None]:
    """A function from the trimmed text of column ``name`` to its reading; None where nothing was measured.

    It raises ``UnreadableDose``. The result is rounded half-even, once, to the ninth digit (contract: dose values).
    Where each row has its own unit, the text ends in it, after ``UNIT_MARK`` or, as people are shown it, a blank.
    """
    number = _number_reader(source.decimal, source.thousands)
    scales = {unit: _scale(source, name, unit) for unit in source.legal_units(name)}
    own_unit = source.units.get(name)
    highest = HIGHEST_RATE_USV_PER_H if name == PEAK_RATE else HIGHEST_DOSE_USV
    tokens: dict[str, Reading | None] = dict.fromkeys((*source.null_tokens, *source.unused_tokens))
    tokens |= dict.fromkeys(source.below_lod_tokens, Reading(None, BELOW_DETECTION))

    @lru_cache(maxsize=1 << 16)
    def read(text: str) -> Reading | None:
        figure, unit = (text, own_unit) if own_unit else _figure_and_unit(text)
        if figure in tokens:
            return tokens[figure]
        if unit not in scales:
            raise UnreadableDose(f"has the unknown unit {unit[:_LONGEST_UNIT_SHOWN]!r}" if unit else "has no unit")
        multiply, divide = scales[unit]
        value = _EXACT.divide(_EXACT.multiply(number(figure), multiply), divide)
        if value < 0:
            raise UnreadableDose("is negative")
        if value > highest:
            raise UnreadableDose("is more than can be measured" if name == PEAK_RATE else "is more than 10 Sv")
        return Reading(abs(value.quantize(_NINTH_DIGIT, context=_EXACT)))

    return read


def _figure_and_unit(text: str) -> tuple[str, str]:
    """The two cells in a text; the second may be empty."""
    figure, mark, unit = text.rpartition(UNIT_MARK) if UNIT_MARK in text else text.rpartition(" ")
    return (figure, unit) if mark else (text, "")


def _scale(source: SourceDescription, name: str, unit: str) -> tuple[Decimal, Decimal]:
    """What a number of that column and unit is multiplied with, and then divided by, to be in canonical units."""
    unit, _, period = unit.partition("/")
    to_usv = BADGE_UNITS[unit]
    if name == PEAK_RATE:
        return to_usv * 3600, Decimal(RATE_PERIODS_S[period])
    if LAYOUTS[source.layout].is_rate:
        return to_usv * source.sample_seconds, Decimal(RATE_PERIODS_S[period])
    return to_usv, Decimal(1)


def _number_reader(decimal: str, thousands: str | None) -> Callable[[str], Decimal]:
    """A function from text to number. Its grammar is strict: a digit follows the decimal sign, groups have three."""
    blanks = _THOUSANDS.get(thousands or "", "")
    whole = rf"(?:\d+|\d{{1,3}}(?:[{blanks}]\d{{3}})+)" if blanks else r"\d+"
    is_number = re.compile(
        rf"[+-]?(?:{whole}(?:[{decimal}]\d+)?|[{decimal}]\d+)(?:[eE][+-]?\d{{1,3}})?", re.ASCII
    ).fullmatch
    as_python_writes = str.maketrans(decimal, ".", blanks)

    def read(text: str) -> Decimal:
        if len(text) > LONGEST_NUMBER_CHARS or not is_number(text):
            raise UnreadableDose("is not a number")
        return Decimal(text.translate(as_python_writes))

    return read
