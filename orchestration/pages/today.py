"""Today: what medical physics looks at in the morning. The heading answers, the tables and charts below prove it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import duckdb

from orchestration.pages.cases import Case, by_gravity, open_findings, read_cases
from orchestration.pages.page import Frame, Page

SHOWN = 12  # procedures that are listed at once; the others are one click away
FINDING_DAYS = 31


@dataclass(frozen=True, slots=True)
class TodayFigures:
    """What the page shows; cases are the procedures with open findings of the last 31 days, the gravest first."""

    since: date
    cases: tuple[Case, ...]

    @property
    def urgent(self) -> int:
        """Number of procedures with an urgent finding."""
        return sum(case.severity == "urgent" for case in self.cases)


def today_figures(connection: duckdb.DuckDBPyConnection, as_of: date) -> TodayFigures:
    """Read what the page shows from the published warehouse."""
    since = as_of - timedelta(days=FINDING_DAYS - 1)
    findings = {
        procedure_id: found
        for procedure_id, found in open_findings(connection).items()
        if any(finding.occurred_on and finding.occurred_on >= since for finding in found)
    }
    cases = sorted(read_cases(connection, findings, list(findings)), key=by_gravity)
    return TodayFigures(since, tuple(cases))


def today_page(connection: duckdb.DuckDBPyConnection, frame: Frame) -> Page:
    """Render the page."""
    figures = today_figures(connection, frame.edition.as_of)
    return frame.page("index.html", "today.html.j2", figures=figures, shown=SHOWN)
