"""People: who is near a limit, whose protection differs from colleagues', whose badge is worn; no rank by noise."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from orchestration.figures.habits import least_of_a_ratio
from orchestration.figures.open_findings import AUDIENCES, read_findings
from orchestration.pages.page import Frame, Page
from orchestration.pages.svg import Scale
from orchestration.pages.today import LimitRow, nearest_limits

DOTS = 30  # last procedures of a person that are drawn
RATIOS = Scale(0.25, 4, is_log=True)
DOSES = Scale(1 / 16, 16, is_log=True)


@dataclass(frozen=True, slots=True)
class Protection:
    """One person's share of the C-arm's dose against colleagues', 12 months, in one role group.

    Attributes:
        is_enough: whether there are enough procedures for an interval that people may read.
    """

    operator_id: str
    role_group: str
    n: int
    ratio: float
    low: float | None
    high: float | None
    above_usual_usv: float | None
    is_enough: bool


@dataclass(frozen=True, slots=True)
class Strip:
    """Doses of one person against usual (ratios) in one role group; quartiles of the person and of the whole group."""

    operator_id: str
    role_group: str
    n: int
    median: float
    last: tuple[float, ...]
    group_q1: float
    group_q3: float
    group_n: int


@dataclass(frozen=True, slots=True)
class Badge:
    """How often one person had a reading of the badge in the procedures of 12 months."""

    operator_id: str
    procedures: int
    with_reading: int
    missing: int

    @property
    def share(self) -> float:
        """Share of the procedures with a reading."""
        return self.with_reading / self.procedures


@dataclass(frozen=True, slots=True)
class PeopleFigures:
    """What the page shows: one row a person and role group each."""

    limits: tuple[LimitRow, ...]
    protection: tuple[Protection, ...]
    strips: tuple[Strip, ...]
    badges: tuple[Badge, ...]

    @property
    def above(self) -> tuple[Protection, ...]:
        """People whose interval lies wholly above 1."""
        return tuple(row for row in self.protection if row.is_enough and (row.low or 0) > 1)


def people_figures(connection: duckdb.DuckDBPyConnection) -> PeopleFigures:
    """Read what the page shows from the published warehouse; 12 months to as_of."""
    return PeopleFigures(
        limits=nearest_limits(connection, read_findings(connection, AUDIENCES), 0),
        protection=tuple(
            Protection(*row) for row in connection.execute(_PROTECTION, [least_of_a_ratio(connection)]).fetchall()
        ),
        strips=tuple(
            Strip(operator_id, group, n, median, tuple(last), q1, q3, group_n)
            for operator_id, group, n, median, last, q1, q3, group_n in connection.execute(_STRIPS, [DOTS]).fetchall()
        ),
        badges=tuple(Badge(*row) for row in connection.execute(_BADGES).fetchall()),
    )


def people_page(connection: duckdb.DuckDBPyConnection, frame: Frame) -> Page:
    """Render the page."""
    figures = people_figures(connection)
    values = {"least_rows": least_of_a_ratio(connection), "ratios": RATIOS, "doses": DOSES, "dots": DOTS}
    return frame.page("people.html", "people.html.j2", figures=figures, **values)


_PROTECTION = """
    select
        operator_id, role_group, n, protection_ratio, ci_low, ci_high, above_usual_usv,
        n >= ? and ci_low is not null as is_enough
    from marts.fct_operator_protection
    where period = 'rolling_12_months'
    order by is_enough desc, protection_ratio desc, operator_id
"""

_STRIPS = """
    with
    ratios as (
        select
            explanations.operator_id, explanations.role_group, explanations.hp10_ratio, procedures.started_at
        from marts.fct_dose_explanation as explanations
        inner join marts.fct_procedure as procedures on explanations.procedure_id = procedures.procedure_id
        cross join (select max(as_of) as as_of from ledger.publication)
        where procedures.procedure_date > as_of - interval 12 month
    ),
    role_groups as (
        select
            role_group, quantile_cont(hp10_ratio, 0.25) as q1, quantile_cont(hp10_ratio, 0.75) as q3, count(*) as n
        from ratios
        group by role_group
    )
    select
        ratios.operator_id, ratios.role_group, count(*), median(hp10_ratio),
        list(hp10_ratio order by started_at desc)[:?], any_value(q1), any_value(q3), any_value(role_groups.n)
    from ratios
    inner join role_groups on ratios.role_group = role_groups.role_group
    group by ratios.operator_id, ratios.role_group
    order by ratios.role_group, ratios.operator_id
"""

_BADGES = """
    select
        facts.operator_id, count(*), count(*) filter (where facts.badge_status <> 'missing'),
        count(*) filter (where facts.badge_status = 'missing')
    from marts.fct_operator_procedure as facts
    inner join marts.fct_procedure as procedures on facts.procedure_id = procedures.procedure_id
    cross join (select max(as_of) as as_of from ledger.publication)
    where procedures.procedure_date > as_of - interval 12 month
    group by facts.operator_id
    order by facts.operator_id
"""
