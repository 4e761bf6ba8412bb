"""The occupational physician's page: findings of audience restricted and the doses of pregnancies, by operator_id."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import duckdb

from orchestration.figures.digest import read_advice
from orchestration.figures.open_findings import Finding, read_findings
from orchestration.pages.page import Frame, Page


@dataclass(frozen=True, slots=True)
class Pregnancy:
    """Dose of one declared pregnancy against its limit, in mSv; what is below detection is in ``high_msv`` only."""

    operator_id: str
    quantity: str
    begin: date
    end: date
    low_msv: float | None
    high_msv: float | None
    limit_msv: float
    fraction: float | None
    covered_to: date | None
    is_begin_unknown: bool
    citation: str


@dataclass(frozen=True, slots=True)
class RestrictedFigures:
    """What the page shows: the gravest findings first, one row a pregnancy and limit."""

    findings: tuple[Finding, ...]
    pregnancies: tuple[Pregnancy, ...]


def restricted_figures(connection: duckdb.DuckDBPyConnection) -> RestrictedFigures:
    """Read what the page shows from the restricted database."""
    return RestrictedFigures(
        findings=read_findings(connection, ("restricted",)),
        pregnancies=tuple(Pregnancy(*row) for row in connection.execute(_PREGNANCIES).fetchall()),
    )


def occupational_physician_page(connection: duckdb.DuckDBPyConnection, frame: Frame) -> Page:
    """Render the page."""
    published = read_advice(connection)

    def advise(finding: Finding) -> str:
        found = published.get((finding.advice_code or "", frame.words.locale.language))
        return frame.words.typeset(found.sentence) if found else ""

    figures = restricted_figures(connection)
    return frame.page("index.html", "occupational_physician.html.j2", figures=figures, advise=advise)


_PREGNANCIES = """
    select
        operator_id, quantity, window_begin, window_end, dose_low_msv, dose_high_msv, limit_msv, warning_fraction,
        covered_to_date, coalesce(is_begin_unknown, false), limit_citation
    from marts.fct_operator_limit
    where dose_window = 'pregnancy'
    order by warning_fraction desc nulls last, operator_id, quantity
"""
