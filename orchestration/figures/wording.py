"""The words, numbers and dates of one language: what a letter says comes from translations/<language>.yaml.

Only wording lives here. What is told, and how a letter looks, is said in letter_<reader>.py and its templates.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from functools import cache
from pathlib import Path
from typing import Any, cast

import yaml
from babel import Locale
from babel.dates import format_date, format_skeleton, format_time
from babel.numbers import format_decimal

LANGUAGES = ("en", "fr", "es")
NO_BREAK_SPACE = "\u00a0"
SIGNIFICANT_DIGITS = 3
_FOLDER = Path(__file__).parent / "translations"


@dataclass(frozen=True, slots=True)
class Wording:
    """One language: its texts as nested tables, its names of procedure classes, and how it writes numbers and dates."""

    locale: Locale
    texts: Mapping[str, Any]
    classes: Mapping[str, str] = field(default_factory=dict)

    def naming(self, class_names: Mapping[str, Mapping[str, str]]) -> Wording:
        """The same language with the names of procedure classes of a publication, given by language."""
        return replace(self, classes=class_names.get(self.locale.language, {}))

    def class_name(self, procedure_type: str, role_group: str = "first_operator") -> str:
        """Name a procedure class, and the role in it unless it is the usual one; one without a name by its code."""
        if procedure_type == "unclassified":
            name = self.say("unclassified")
        else:
            name = self.typeset(self.classes.get(procedure_type, procedure_type).replace("_", " "))
        return name if role_group == "first_operator" else f"{name} ({self.say(f'role_groups.{role_group}')})"

    def knows(self, key: str) -> bool:
        """Tell whether there is a text of this dotted key."""
        try:
            self._entry(key)
        except KeyError:
            return False
        return True

    def say(self, key: str, **values: object) -> str:
        """Return the text of a dotted key with its ``{placeholders}`` filled.

        A text that depends on a number is a table of plural forms; the number is the value named ``count``.

        Raises:
            KeyError: no such key, or a placeholder without a value.
        """
        entry = self._entry(key)
        if isinstance(entry, str):
            return self.typeset(entry).format(**values)
        count = cast(int, values["count"])
        form = entry.get(self.locale.plural_form(count), entry["other"])
        return self.typeset(form).format(**{**values, "count": self.number(count)})

    def typeset(self, text: str) -> str:
        """Set a French text as its typography asks: curved apostrophes, double marks on the line of the word before."""
        if self.locale.language != "fr":
            return text
        curved = re.sub(r"(?<=\w)'(?=\w)", "’", text)
        return re.sub(r" (?=[:;?!»])|(?<=«) ", NO_BREAK_SPACE, curved)

    def number(self, value: Decimal | float, digits: int = SIGNIFICANT_DIGITS) -> str:
        """Write a number with at least ``digits`` significant digits; whole numbers are never rounded."""
        exact = value if isinstance(value, Decimal) else Decimal(str(value))
        if not exact.is_finite():
            raise ValueError(f"{value} cannot be written in a letter.")
        decimals = max(0, digits - 1 - exact.adjusted()) if exact else 0
        return format_decimal(round(exact, decimals), "#,##0." + "#" * decimals, self.locale)

    def percent(self, share: Decimal, rounding: str = ROUND_HALF_EVEN) -> str:
        """Write a share (0 to 1) in percent, to a tenth."""
        tenths = (share * 100).quantize(Decimal("0.1"), rounding)
        return format_decimal(tenths, "#,##0.0", self.locale) + NO_BREAK_SPACE + "%"

    def day(self, day: date) -> str:
        """Write a date in full words, e.g. 2 March 2026."""
        written = format_date(day, "long", self.locale)
        return re.sub(r"^1 ", "1er ", written) if self.locale.language == "fr" else written

    def time(self, instant: datetime) -> str:
        """Write the time of day, e.g. 08:14."""
        return format_time(instant, "short", locale=self.locale)

    def month(self, day: date) -> str:
        """Write the month of a date, e.g. March 2026."""
        return format_skeleton("yMMMM", day, locale=self.locale)

    def _entry(self, key: str) -> str | Mapping[str, str]:
        entry: Any = self.texts
        for part in key.split("."):
            if not isinstance(entry, Mapping):
                raise KeyError(key)
            entry = entry[part]
        return cast("str | Mapping[str, str]", entry)


@cache
def wording(language: str) -> Wording:
    """Return the wording of ``en``, ``fr`` or ``es``.

    Raises:
        ValueError: another language.
    """
    if language not in LANGUAGES:
        raise ValueError(f"Letters are written in {', '.join(LANGUAGES)}, not in {language!r}.")
    texts = yaml.safe_load((_FOLDER / f"{language}.yaml").read_text(encoding="utf-8"))
    # British dates in English letters: 2 March 2026 reads the same everywhere.
    return Wording(Locale("en", "GB") if language == "en" else Locale(language), texts)
