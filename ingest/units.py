"""The one table of units: what a unit code means and how it becomes the canonical unit of its quantity.

Only units and their exact factors; the readers' tables map columns to quantities.
"""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache

# Canonical units: KAP Gy.cm2, air kerma and dose mGy, DLP mGy.cm, time s, badge dose microsievert, rate microsievert/h.
# Source: UCUM as used in DICOM PS3.16. Other spellings of a code: ``dicom_unit`` below.
DICOM_UNITS: dict[str, tuple[str, Decimal]] = {
    "Gy.m2": ("kap", Decimal(10_000)),
    "mGy.m2": ("kap", Decimal(10)),
    "uGy.m2": ("kap", Decimal("0.01")),
    "Gy.cm2": ("kap", Decimal(1)),
    "dGy.cm2": ("kap", Decimal("0.1")),
    "cGy.cm2": ("kap", Decimal("0.01")),
    "mGy.cm2": ("kap", Decimal("0.001")),
    "uGy.cm2": ("kap", Decimal("0.000001")),
    "mGy.mm2": ("kap", Decimal("0.00001")),
    "Gy": ("kerma", Decimal(1000)),
    "dGy": ("kerma", Decimal(100)),
    "cGy": ("kerma", Decimal(10)),
    "mGy": ("kerma", Decimal(1)),
    "uGy": ("kerma", Decimal("0.001")),
    "Gy.cm": ("dlp", Decimal(1000)),
    "mGy.cm": ("dlp", Decimal(1)),
    "uGy.cm": ("dlp", Decimal("0.001")),
    "mGy.mm": ("dlp", Decimal("0.1")),
    "s": ("time", Decimal(1)),
    "ms": ("time", Decimal("0.001")),
    "us": ("time", Decimal("0.000001")),
    "min": ("time", Decimal(60)),
    "h": ("time", Decimal(3600)),
    "kV": ("voltage", Decimal(1)),
    "V": ("voltage", Decimal("0.001")),
    "mA": ("current", Decimal(1)),
    "uA": ("current", Decimal("0.001")),
    "A": ("current", Decimal(1000)),
    "deg": ("angle", Decimal(1)),
    "mm": ("length", Decimal(1)),
    "cm": ("length", Decimal(10)),
    "m": ("length", Decimal(1000)),
    "um": ("length", Decimal("0.001")),
    "m2": ("area", Decimal(10_000)),
    "cm2": ("area", Decimal(1)),
    "mm2": ("area", Decimal("0.01")),
    "N": ("force", Decimal(1)),
    "1": ("number", Decimal(1)),
    "/s": ("frequency", Decimal(1)),
}

# What devices write in place of the code above. An annotation in braces is no unit in UCUM: "{pulse}/s" is "/s".
_SPELLINGS = str.maketrans({"\u00b5": "u", "\u03bc": "u", "\u00b2": "2", "\u00b0": "deg"})
_SEPARATORS = str.maketrans(dict.fromkeys(".*^\u00b7\u22c5 ", ""))
_ANNOTATION = re.compile(r"\{[^{}]*\}")
_ALIASES = {"": "1", "nounits": "1", "1/s": "/s", "pulse/s": "/s", "pulses/s": "/s", "frames/s": "/s", "Hz": "/s"}
_ALIASES |= {"kVp": "kV", "sec": "s", "msec": "ms", "degree": "deg", "degrees": "deg"}


def _key(code: str) -> str:
    """A unit's code without what makes no difference: dots between its parts, annotations, the kind of micro sign."""
    key = _ANNOTATION.sub("", code.translate(_SPELLINGS).translate(_SEPARATORS))
    return _ALIASES.get(key, key)


_BY_KEY = {_key(code): meaning for code, meaning in DICOM_UNITS.items()}


@lru_cache(maxsize=1024)  # a report states the same few units thousands of times
def dicom_unit(code: str) -> tuple[str, Decimal] | None:
    """What a unit's code means, also in the spellings of devices: ``Gym2``, ``µGy·m²``, ``{pulses}/s``.

    Args:
        code: as in the report; case counts, as in UCUM (mGy is no MGy).

    Returns:
        Kind of quantity and the factor to its canonical unit, or None if the unit is unknown.
    """
    return _BY_KEY.get(_key(code)) if code else None


# Both micro signs (U+00B5 and U+03BC) are legal. 1 rem = 10 mSv.
BADGE_UNITS: dict[str, Decimal] = {
    "nSv": Decimal("0.001"),
    "uSv": Decimal(1),
    "\u00b5Sv": Decimal(1),
    "\u03bcSv": Decimal(1),
    "mSv": Decimal(1000),
    "Sv": Decimal(1_000_000),
    "mrem": Decimal(10),
    "rem": Decimal(10_000),
}
RATE_PERIODS_S: dict[str, int] = {"h": 3600, "min": 60, "s": 1}
