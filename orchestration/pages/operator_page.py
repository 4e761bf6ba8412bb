"""An operator's own page: where do I stand, is it me or the case, when and from where. Others are quartiles only.

What a person may see of colleagues: quartiles of at least 20 rows of at least 5 other people. No patient, no accession
number, no procedure_id.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

import duckdb

from orchestration.figures.habits import Protection, read_protections
from orchestration.figures.operator import (
    LEAST_OTHER_PEOPLE,
    LEAST_PROCEDURES_OF_A_CLASS,
    ClassQuartiles,
    read_classes,
)
from orchestration.pages.page import Frame, Page
from orchestration.pages.svg import Scale

WORST = 3
RATIOS = Scale(0.25, 4, is_log=True)
SIDE_DEG = 15  # a beam within so many degrees of the vertical comes from neither side


@dataclass(frozen=True, slots=True)
class Month:
    """One month of the operator; doses in µSv."""

    month: date
    procedures: int
    with_badge: int
    hp10_usv: float | None
    effective_low_usv: float | None


@dataclass(frozen=True, slots=True)
class OwnLimit:
    """The operator's dose against one limit, mSv; what is below detection is in ``high_msv`` only."""

    quantity: str
    dose_window: str
    low_msv: float | None
    high_msv: float | None
    limit_msv: float
    received: float | None
    projected: float | None
    is_estimate: bool


@dataclass(frozen=True, slots=True)
class OwnProcedure:
    """One of the procedures with the highest dose against usual."""

    procedure_type: str
    started_at: datetime | None
    day: date
    room: str
    hp10_usv: float
    ratio: float
    main_cause: str


@dataclass(frozen=True, slots=True)
class OwnClass:
    """Own doses of a class and role group, in µSv, beside those of others; None where they are too few."""

    others: ClassQuartiles | None
    procedure_type: str
    role_group: str
    n: int
    median_usv: float


@dataclass(frozen=True, slots=True)
class Direction:
    """A side that the beam came from: share of the own dose, and of the radiation in the same procedures."""

    side: str
    dose_share: float
    radiation_share: float


@dataclass(frozen=True, slots=True)
class OwnFigures:
    """What the page shows; 12 months to as_of."""

    months: tuple[Month, ...]
    limits: tuple[OwnLimit, ...]
    protection: tuple[Protection, ...]
    worst: tuple[OwnProcedure, ...]
    classes: tuple[OwnClass, ...]
    directions: tuple[Direction, ...]

    @property
    def nearest(self) -> OwnLimit | None:
        """The limit of which most was received."""
        return max(
            (row for row in self.limits if row.received is not None), key=lambda row: row.received or 0, default=None
        )

    @property
    def main_side(self) -> Direction | None:
        """The side with most dose for its radiation, where that is clear: half as much again."""
        found = max(self.directions, key=lambda row: row.dose_share, default=None)
        return found if found and found.dose_share > 1.5 * found.radiation_share else None


def own_figures(connection: duckdb.DuckDBPyConnection, operator_id: str) -> OwnFigures:
    """Read what the page shows: rows of this operator, and quartiles of the others."""
    own = {"operator": operator_id}
    directions = connection.execute(_DIRECTIONS, own | {"side": SIDE_DEG}).fetchall()
    (as_of,) = connection.execute("select max(as_of) from ledger.publication").fetchall()[0]
    others = {(row.procedure_type, row.role_group): row for row in read_classes(connection, operator_id, as_of)}
    classes = connection.execute(_CLASSES, own).fetchall()
    return OwnFigures(
        months=tuple(Month(*row) for row in connection.execute(_MONTHS, own).fetchall()),
        limits=tuple(OwnLimit(*row) for row in connection.execute(_LIMITS, own).fetchall()),
        protection=read_protections(connection, operator_id),
        worst=tuple(OwnProcedure(*row) for row in connection.execute(_WORST, own | {"rows": WORST}).fetchall()),
        classes=tuple(OwnClass(others.get((row[0], row[1])), *row) for row in classes),
        directions=tuple(Direction(*row) for row in directions),
    )


def operator_page(connection: duckdb.DuckDBPyConnection, frame: Frame, operator_id: str) -> Page:
    """Render the page of one operator."""
    figures = own_figures(connection, operator_id)
    highest = max((month.hp10_usv or 0 for month in figures.months), default=0)
    values = {
        "operator_id": operator_id,
        "ratios": RATIOS,
        "least_rows": LEAST_PROCEDURES_OF_A_CLASS,
        "least_others": LEAST_OTHER_PEOPLE,
        "doses": Scale(0, highest or 1),
        "class_scale": lambda row: Scale(0, 1.1 * max(row.median_usv, row.others.q3_usv if row.others else 0) or 1),
    }
    return frame.page("index.html", "operator_page.html.j2", figures=figures, **values)


_AS_OF = "cross join (select max(as_of) as as_of from ledger.publication)"

_MONTHS = f"""
    select month, procedures, procedures_with_badge, hp10_over_apron_usv, effective_dose_low_usv
    from marts.fct_operator_month
    {_AS_OF}
    where operator_id = $operator and month > as_of - interval 12 month
    order by month
"""

_LIMITS = """
    select
        quantity, dose_window, dose_low_msv, dose_high_msv, limit_msv, warning_fraction, projected_fraction,
        coalesce(is_estimate, false)
    from marts.fct_operator_limit
    where operator_id = $operator and dose_window <> 'pregnancy' and warning_fraction is not null
    qualify row_number() over (partition by quantity order by warning_fraction desc, dose_window) = 1
    order by warning_fraction desc, quantity
"""

_WORST = f"""
    select
        procedures.procedure_type, procedures.started_at, procedures.procedure_date,
        coalesce(rooms.room_name, procedures.room_id), facts.hp10_usv, explanations.hp10_ratio,
        explanations.main_cause
    from marts.fct_dose_explanation as explanations
    inner join marts.fct_operator_procedure as facts
        on explanations.procedure_id = facts.procedure_id and explanations.operator_id = facts.operator_id
    inner join marts.fct_procedure as procedures on explanations.procedure_id = procedures.procedure_id
    left join marts.dim_room as rooms on procedures.room_id = rooms.room_id
    {_AS_OF}
    where explanations.operator_id = $operator and procedures.procedure_date > as_of - interval 12 month
    order by explanations.hp10_ratio desc, procedures.started_at desc
    limit $rows
"""

# Children are never judged against adults, nor is an unclassified procedure compared.
_CLASSES = f"""
    select procedures.procedure_type, facts.role_group, count(*) as n, median(facts.hp10_usv)
    from marts.fct_operator_procedure as facts
    inner join marts.fct_procedure as procedures on facts.procedure_id = procedures.procedure_id
    {_AS_OF}
    where
        facts.operator_id = $operator and facts.hp10_usv is not null and procedures.procedure_type <> 'unclassified'
        and procedures.procedure_date > as_of - interval 12 month
        and (procedures.patient_age_years is null or procedures.patient_age_years >= 18)
    group by procedures.procedure_type, facts.role_group
    order by n desc, procedures.procedure_type, facts.role_group
"""

_DIRECTIONS = f"""
    with
    events as (
        select
            events.ka_r_mgy, doses.hp10_usv,
            case
                when events.primary_angle_deg > $side then 'lao'
                when events.primary_angle_deg < -$side then 'rao'
                else 'pa'
            end as side
        from marts.fct_operator_event as doses
        inner join marts.fct_irradiation_event as events on doses.irradiation_event_uid = events.irradiation_event_uid
        inner join marts.fct_procedure as procedures on doses.procedure_id = procedures.procedure_id
        {_AS_OF}
        where
            doses.operator_id = $operator and events.primary_angle_deg is not null and events.ka_r_mgy is not null
            and procedures.procedure_date > as_of - interval 12 month
    )
    select side, sum(hp10_usv) / sum(sum(hp10_usv)) over (), sum(ka_r_mgy) / sum(sum(ka_r_mgy)) over ()
    from events
    group by side
    qualify sum(sum(hp10_usv)) over () > 0 and sum(sum(ka_r_mgy)) over () > 0
    order by list_position(['rao', 'pa', 'lao'], side)
"""
