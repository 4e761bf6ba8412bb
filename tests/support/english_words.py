"""English words and identifiers in a French or Spanish text."""

from __future__ import annotations

import re

# Words that no French or Spanish text of the profession has; names of units, programs and standards are none of them.
ENGLISH = re.compile(
    r"\b(the|of|and|with|was|were|is|are|this|that|not|from|which|file|row|rows|table|column|columns|missing|unknown"
    r"|dose report|reading|threshold|limit|badge|room|source|reason|more|than|usual|finding|findings|staff|apron)\b",
    re.IGNORECASE,
)
# French and Spanish words that are spelled alike.
ALSO = {"fr": {"source", "table"}, "es": set()}
IDENTIFIER = re.compile(r"\b[a-z]+(_[a-z0-9]+)+\b|\b(ledger|marts|alerts|reference)[./]\w+|\b\w+\.(csv|yaml|duckdb)\b")


def english_in(text: str, language: str) -> set[str]:
    """English words and identifiers in a text of another language."""
    words = {word for word in map(str.lower, ENGLISH.findall(text)) if word not in ALSO[language]}
    return words | {match[0] for match in IDENTIFIER.finditer(text)}
