"""Oddities of one dose report: collected while it is read, each once with its count.

The modules that read values decide what is odd.
"""

from __future__ import annotations

from collections import Counter

from ingest.records import Finding


class Findings:
    """Collects findings of one report in the order in which they first occur."""

    def __init__(self) -> None:
        self._counts: Counter[Finding] = Counter()

    def add(self, code: str, message: str, field: str | None = None) -> None:
        """Note an oddity; ``field`` names the concept or attribute."""
        self._counts[Finding(code, message, field=field)] += 1

    def all(self) -> tuple[Finding, ...]:
        """Each finding once; how often it occurred is in its message."""
        return tuple(
            found if times == 1 else Finding(found.code, f"{found.message} ({times} times)", field=found.field)
            for found, times in self._counts.items()
        )
