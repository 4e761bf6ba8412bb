"""Units of dose and dose rate as written in the name of a column, in a line above it, or in cells.

Only for drafts and warnings: the units of a source description are those of ``ingest/units.py`` alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from ingest.dosimeters.description import RATE_UNITS
from ingest.units import BADGE_UNITS

_UNIT = re.compile(
    r"(?<![^\W_])([nu\u00b5\u03bcm]|мк|м|н)?(sv|rem|зв)(?:\s?/\s?(h|min|s|ч)|_(h|min|s))?(?![^\W_])", re.IGNORECASE
)
_LATIN = {"мк": "u", "м": "m", "н": "n", "зв": "Sv", "ч": "h", "sv": "Sv", "\u00b5": "u", "\u03bc": "u"}


def unit_in(text: str) -> str | None:
    """The first unit in a text, as a source description writes it."""
    return _spelled(_UNIT.search(text))


def units_of(cells: Iterable[str]) -> list[str]:
    """The cells, each once, if all of them are units and there are any, whether or not their spelling is read."""
    distinct = list(dict.fromkeys(cells))
    return distinct if all(_spelled(_UNIT.fullmatch(cell)) for cell in distinct) else []


def _spelled(found: re.Match[str] | None) -> str | None:
    if found is None:
        return None
    prefix, stem, slash, underscore = (part.casefold() if part else "" for part in found.groups())
    unit = _LATIN.get(prefix, prefix) + _LATIN.get(stem, stem)
    period = _LATIN.get(slash or underscore, slash or underscore)
    whole = f"{unit}/{period}" if period else unit
    return whole if whole in (*BADGE_UNITS, *RATE_UNITS) else None
