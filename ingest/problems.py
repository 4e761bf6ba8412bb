"""Wording of a problem in a site's input: where it is (file, line, field), what is wrong, what to do.

The modules that read the site's files find the problems.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


class UserError(Exception):
    """A mistake that the site can fix. Its text is one clear sentence for the user."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in one file.

    Attributes:
        file: path relative to the site, with ``/``.
        line: line in the file from 1, or None when it concerns the file as a whole.
        field: column or key concerned, or None.
        message: what is wrong and what to do. It never quotes a private value.
        code: short machine name. ``invalid`` stops a run; the others are findings of a run that goes on.
        is_consequence: whether it disappears when another problem is corrected.
    """

    file: str
    line: int | None
    field: str | None
    message: str
    code: str = "invalid"
    is_consequence: bool = False

    def __str__(self) -> str:
        line = f" line {self.line}" if self.line is not None else ""
        field = f", field {self.field}" if self.field is not None else ""
        return f"{self.file}{line}{field}: {self.message}"


def root_causes(problems: Iterable[Problem]) -> list[str]:
    """One sentence for each problem that has to be corrected: equal ones once, consequences of others as a number."""
    listed = list(problems)
    lines: dict[tuple[str, str | None, str], list[Problem]] = {}
    for problem in listed:
        if not problem.is_consequence:
            lines.setdefault((problem.file, problem.field, problem.message), []).append(problem)
    sentences = [f"{same[0]}{f' (and {len(same) - 1:,} more)' if len(same) > 1 else ''}" for same in lines.values()]
    if n_more := sum(problem.is_consequence for problem in listed):
        sentences.append(f"{n_more:,} more rows are refused because they name a row that is refused: see above.")
    return sentences


class SiteError(UserError):
    """The site folder cannot be used. Holds every problem found, not only the first."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """The known name that ``name`` most likely means, or None if none is close."""
    folded = {candidate.casefold(): candidate for candidate in known}
    matches = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.75)
    return folded[matches[0]] if matches else None
