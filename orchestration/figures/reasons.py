"""Reasons that the program states in English, in the language of the reader: translations/reasons.csv has their forms.

A reason of no known form is quoted, and called English. Which files and rows are refused is decided in ingest.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from orchestration.figures.wording import Wording

FORMS = Path(__file__).parent / "translations" / "reasons.csv"
PARTS = "parts"  # a value that is itself reasons, joined by semicolons


@dataclass(frozen=True, slots=True)
class Form:
    """A reason with placeholders in each language, and what recognises it in English."""

    code: str
    pattern: re.Pattern[str]
    texts: dict[str, str]


@cache
def forms() -> tuple[Form, ...]:
    """Every form that is translated."""
    with FORMS.open(encoding="utf-8", newline="") as file:
        return tuple(Form(row.pop("code"), _pattern(row["en"]), row) for row in csv.DictReader(file))


def reason_in_words(reason: str, words: Wording) -> str:
    """Write a reason in the reader's language; one of no known form is quoted."""
    language = words.locale.language
    if language == "en":
        return reason
    for form in forms():
        if found := form.pattern.fullmatch(reason):
            values = found.groupdict()
            if PARTS in values:
                values[PARTS] = "; ".join(reason_in_words(part, words) for part in values[PARTS].split("; "))
            return words.typeset(form.texts[language]).format(**values)
    return words.say("findings.quoted", message=reason)


def _pattern(text: str) -> re.Pattern[str]:
    """Match the English text of a form; each placeholder is a group."""
    pieces = re.split(r"\{(\w+)\}", text)
    return re.compile("".join(f"(?P<{p}>.+)" if n % 2 else re.escape(p) for n, p in enumerate(pieces)), re.DOTALL)
