"""The one table of units: what a unit code means and how it becomes the canonical unit of its quantity.

Only units and their exact factors live here; which column carries which quantity is said by the readers' tables.
"""

from __future__ import annotations

from decimal import Decimal

# Canonical units: KAP Gy.cm2, air kerma and dose mGy, DLP mGy.cm, time s, badge dose microsievert, rate microsievert/h.
# Sources: UCUM as used in DICOM PS3.16; spellings seen in real reports are in docs/conformance.md.
DICOM_UNITS: dict[str, tuple[str, Decimal]] = {
    "Gy.m2": ("kap", Decimal(10_000)),
    "Gym2": ("kap", Decimal(10_000)),
    "mGy.m2": ("kap", Decimal(10)),
    "uGy.m2": ("kap", Decimal("0.01")),
    "uGym2": ("kap", Decimal("0.01")),
    "Gy.cm2": ("kap", Decimal(1)),
    "Gycm2": ("kap", Decimal(1)),
    "dGy.cm2": ("kap", Decimal("0.1")),
    "dGycm2": ("kap", Decimal("0.1")),
    "cGy.cm2": ("kap", Decimal("0.01")),
    "cGycm2": ("kap", Decimal("0.01")),
    "mGy.cm2": ("kap", Decimal("0.001")),
    "mGycm2": ("kap", Decimal("0.001")),
    "uGy.cm2": ("kap", Decimal("0.000001")),
    "uGycm2": ("kap", Decimal("0.000001")),
    "Gy": ("kerma", Decimal(1000)),
    "dGy": ("kerma", Decimal(100)),
    "cGy": ("kerma", Decimal(10)),
    "mGy": ("kerma", Decimal(1)),
    "uGy": ("kerma", Decimal("0.001")),
    "Gy.cm": ("dlp", Decimal(1000)),
    "mGy.cm": ("dlp", Decimal(1)),
    "mGycm": ("dlp", Decimal(1)),
    "uGy.cm": ("dlp", Decimal("0.001")),
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
    "1": ("number", Decimal(1)),
    "{pulses}": ("number", Decimal(1)),
    "{pulse}": ("number", Decimal(1)),
    "{frames}": ("number", Decimal(1)),
    "{events}": ("number", Decimal(1)),
    "no units": ("number", Decimal(1)),
    "{pulse}/s": ("frequency", Decimal(1)),
    "{pulses}/s": ("frequency", Decimal(1)),
    "pulse/s": ("frequency", Decimal(1)),
    "/s": ("frequency", Decimal(1)),
    "1/s": ("frequency", Decimal(1)),
    "Hz": ("frequency", Decimal(1)),
}

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
