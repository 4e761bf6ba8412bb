"""Text as SQL writes it, for the statements in which DuckDB takes no parameter: attach, copy, comment."""

from __future__ import annotations


def literal(text: object) -> str:
    """A string literal with its quotes."""
    return "'" + str(text).replace("'", "''") + "'"
