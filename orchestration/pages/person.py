"""One person for medical physics: limits, months, procedures against usual with their pages, and open findings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from shlex import quote
from typing import TypeVar

import duckdb

from orchestration.figures.open_findings import AUDIENCES, Finding, read_findings
from orchestration.pages.page import Frame, Page
from orchestration.pages.svg import Scale

FINDINGS = 15  # that are listed; the others are counted
PROCEDURES = 30  # of the last 12 months with the highest dose against usual
RowOfPerson = TypeVar("RowOfPerson")


@dataclass(frozen=True, slots=True)
class PersonProcedure:
    """Dose of one person in one procedure, µSv, against the usual one of class and role, where it can be compared."""

    procedure_id: str
    procedure_type: str
    role_group: str
    started_at: datetime | None
    day: date
    room: str | None
    hp10_usv: float
    usual_usv: float | None
    ratio: float | None
    main_cause: str | None


@dataclass(frozen=True, slots=True)
class PersonLimit:
    """Dose of one person against the window of a limit of which most was received, mSv."""

    quantity: str
    dose_window: str
    low_msv: float | None
    high_msv: float | None
    limit_msv: float
    received: float
    projected: float | None
    is_estimate: bool

    @property
    def projected_msv(self) -> float | None:
        """Dose at the end of the year, if it goes on so."""
        return None if self.projected is None else self.projected * self.limit_msv


@dataclass(frozen=True, slots=True)
class PersonMonth:
    """One month of one person; the dose of the electronic badges over the apron in µSv."""

    month: date
    procedures: int
    with_badge: int
    hp10_usv: float | None


@dataclass(frozen=True, slots=True)
class PersonFigures:
    """What the page shows; limits by share received, months and procedures of 12 months."""

    operator_id: str
    findings: tuple[Finding, ...]
    procedures: tuple[PersonProcedure, ...]
    limits: tuple[PersonLimit, ...]
    months: tuple[PersonMonth, ...]

    @property
    def months_scale(self) -> Scale:
        """Scale of the months."""
        return Scale(0, max((month.hp10_usv or 0 for month in self.months), default=0) or 1)


def read_people(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Read who has a page: everybody in operators.csv or in a procedure."""
    return [operator_id for (operator_id,) in connection.execute(_PEOPLE).fetchall()]


def person_figures(connection: duckdb.DuckDBPyConnection, operator_ids: Sequence[str]) -> Iterator[PersonFigures]:
    """Read what the pages show, one query a table."""
    findings: defaultdict[str | None, list[Finding]] = defaultdict(list)
    for finding in read_findings(connection, AUDIENCES):
        findings[finding.operator_id].append(finding)
    procedures = _of_people(connection, _PROCEDURES, PersonProcedure)
    limits = _of_people(connection, _LIMITS, PersonLimit)
    months = _of_people(connection, _MONTHS, PersonMonth)
    for operator_id in operator_ids:
        yield PersonFigures(
            operator_id,
            tuple(findings[operator_id]),
            tuple(procedures[operator_id]),
            tuple(limits[operator_id]),
            tuple(months[operator_id]),
        )


def person_pages(connection: duckdb.DuckDBPyConnection, frame: Frame, operator_ids: Sequence[str]) -> Iterator[Page]:
    """Render the pages of people."""
    for figures in person_figures(connection, operator_ids):
        values = {"figures": figures, "shown": FINDINGS, "typed_id": quote(figures.operator_id)}
        yield frame.page(frame.person_path(figures.operator_id), "person.html.j2", **values)


def _of_people(
    connection: duckdb.DuckDBPyConnection, query: str, row_of: Callable[..., RowOfPerson]
) -> defaultdict[str, list[RowOfPerson]]:
    """Rows of a query by the operator_id in its first column."""
    grouped: defaultdict[str, list[RowOfPerson]] = defaultdict(list)
    for operator_id, *row in connection.execute(query).fetchall():
        grouped[operator_id].append(row_of(*row))
    return grouped


_PEOPLE = """
    select operator_id from marts.dim_operator
    union
    select operator_id from marts.fct_operator_procedure
    order by operator_id
"""

_AS_OF = "cross join (select max(as_of) as as_of from ledger.publication)"

_PROCEDURES = f"""
    select
        doses.operator_id, doses.procedure_id, procedures.procedure_type, doses.role_group, procedures.started_at,
        procedures.procedure_date, coalesce(rooms.room_name, procedures.room_id), doses.hp10_usv,
        explained.usual_hp10_usv, explained.hp10_ratio, explained.main_cause
    from marts.fct_operator_procedure as doses
    inner join marts.fct_procedure as procedures on doses.procedure_id = procedures.procedure_id
    left join marts.fct_dose_explanation as explained
        on doses.procedure_id = explained.procedure_id and doses.operator_id = explained.operator_id
    left join marts.dim_room as rooms on procedures.room_id = rooms.room_id
    {_AS_OF}
    where doses.hp10_usv is not null and procedures.procedure_date > as_of - interval 12 month
    qualify row_number() over (
        partition by doses.operator_id
        order by explained.hp10_ratio desc nulls last, doses.hp10_usv desc, doses.procedure_id
    ) <= {PROCEDURES}
    order by
        doses.operator_id, explained.hp10_ratio desc nulls last, doses.hp10_usv desc, doses.procedure_id
"""

_LIMITS = """
    select
        operator_id, quantity, dose_window, dose_low_msv, dose_high_msv, limit_msv, warning_fraction,
        projected_fraction, coalesce(is_estimate, false)
    from marts.fct_operator_limit
    where dose_window <> 'pregnancy' and warning_fraction is not null
    qualify row_number() over (partition by operator_id, quantity order by warning_fraction desc, dose_window) = 1
    order by operator_id, warning_fraction desc, quantity
"""

_MONTHS = f"""
    select operator_id, month, procedures, procedures_with_badge, hp10_over_apron_usv
    from marts.fct_operator_month
    {_AS_OF}
    where month > as_of - interval 12 month
    order by operator_id, month
"""
