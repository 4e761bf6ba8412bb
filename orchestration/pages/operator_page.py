"""An operator's own page: where do I stand, is it me or the case, when and from where. Others are quartiles only.

What a person may see of colleagues: quartiles of at least 20 rows of at least 5 other people. No patient, no accession
number, no procedure_id.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime

import duckdb

from orchestration.figures.habits import Protection, read_protections
from orchestration.figures.operator import (
    LEAST_OTHER_PEOPLE,
    LEAST_PROCEDURES_OF_A_CLASS,
    ClassQuartiles,
    read_classes,
)
from orchestration.pages import procedure_charts
from orchestration.pages.page import Frame, Page
from orchestration.pages.procedure_figures import C_ARM, ProcedureFigures, read_procedures
from orchestration.pages.svg import Scale

WORST = 3
RATIOS = Scale(0.25, 4, is_log=True)
SIDE_DEG = 15  # a beam within so many degrees of the vertical is straight


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
    """One of the procedures with the highest dose; ``ratio`` to usual is None where too few can be compared.

    Attributes:
        timeline: beam, C-arm badge and own badge; None where the publication has no records of it.
    """

    timeline: ProcedureFigures | None
    procedure_type: str
    started_at: datetime | None
    day: date
    room: str
    hp10_usv: float
    ratio: float | None
    main_cause: str | None


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
    """A direction of beams, named by the detector's side: share of the own dose, and of the radiation there."""

    side: str
    dose_share: float
    radiation_share: float


@dataclass(frozen=True, slots=True)
class LearningQuarter:
    """Own doses of a quarter as ratios to the consultants' median of the same class and role: median and quartiles."""

    quarter: date
    n: int
    q1: float
    median: float
    q3: float


@dataclass(frozen=True, slots=True)
class OwnFigures:
    """What the page shows; 12 months to as_of, of the highest procedures 31 days, of the learning curve three years.

    Attributes:
        learning: empty for a person who is no trainee, and where no class has enough procedures of enough consultants.
    """

    months: tuple[Month, ...]
    limits: tuple[OwnLimit, ...]
    protection: tuple[Protection, ...]
    worst: tuple[OwnProcedure, ...]
    classes: tuple[OwnClass, ...]
    directions: tuple[Direction, ...]
    is_trainee: bool
    learning: tuple[LearningQuarter, ...]

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


def highest_procedures(connection: duckdb.DuckDBPyConnection) -> dict[str, ProcedureFigures]:
    """Read the procedures that are among the highest of any operator, all at once."""
    ids = [procedure_id for (procedure_id,) in connection.execute(_HIGHEST).fetchall()]
    return {figures.case.procedure_id: figures for figures in read_procedures(connection, ids)}


def own_view(figures: ProcedureFigures, operator_id: str) -> ProcedureFigures:
    """Leave of a procedure what its operator may see: the beam, the C-arm's badge and the own one; nobody else."""
    own = tuple(person for person in figures.case.people if person.operator_id == operator_id)
    return replace(
        figures,
        case=replace(figures.case, accession_number=None, people=own, findings=()),
        age_years=None,
        events=tuple(replace(event, doses=_of(event.doses, operator_id)) for event in figures.events),
        badges=tuple(badge for badge in figures.badges if badge.wearer in (C_ARM, operator_id)),
        files=(),
        skin=None,
    )


def _of(doses: Mapping[str, float], operator_id: str) -> dict[str, float]:
    return {wearer: dose for wearer, dose in doses.items() if wearer in (C_ARM, operator_id)}


def own_figures(
    connection: duckdb.DuckDBPyConnection, operator_id: str, procedures: Mapping[str, ProcedureFigures]
) -> OwnFigures:
    """Read what the page shows: rows of this operator, and quartiles of the others.

    Args:
        connection: the published warehouse.
        operator_id: whose page it is.
        procedures: as ``highest_procedures`` gives them.
    """
    own = {"operator": operator_id}
    least = {"least": LEAST_PROCEDURES_OF_A_CLASS, "people": LEAST_OTHER_PEOPLE}
    directions = connection.execute(_DIRECTIONS, own | {"side": SIDE_DEG}).fetchall()
    (as_of,) = connection.execute("select max(as_of) from ledger.publication").fetchall()[0]
    others = {(row.procedure_type, row.role_group): row for row in read_classes(connection, operator_id, as_of)}
    classes = connection.execute(_CLASSES, own).fetchall()
    return OwnFigures(
        months=tuple(Month(*row) for row in connection.execute(_MONTHS, own).fetchall()),
        limits=tuple(OwnLimit(*row) for row in connection.execute(_LIMITS, own).fetchall()),
        protection=read_protections(connection, operator_id),
        worst=tuple(
            OwnProcedure(own_view(procedures[key], operator_id) if key in procedures else None, *row)
            for key, *row in connection.execute(_WORST, own | {"rows": WORST}).fetchall()
        ),
        classes=tuple(OwnClass(others.get((row[0], row[1])), *row) for row in classes),
        directions=tuple(Direction(*row) for row in directions),
        is_trainee=connection.execute(_IS_TRAINEE, own).fetchone() is not None,
        learning=tuple(LearningQuarter(*row) for row in connection.execute(_LEARNING, own | least).fetchall()),
    )


def operator_page(
    connection: duckdb.DuckDBPyConnection,
    frame: Frame,
    operator_id: str,
    procedures: Mapping[str, ProcedureFigures],
) -> Page:
    """Render the page of one operator; ``procedures`` as ``highest_procedures`` gives them."""
    figures = own_figures(connection, operator_id, procedures)
    highest = max((month.hp10_usv or 0 for month in figures.months), default=0)
    values = {
        "operator_id": operator_id,
        "ratios": RATIOS,
        "least_rows": LEAST_PROCEDURES_OF_A_CLASS,
        "least_others": LEAST_OTHER_PEOPLE,
        "doses": Scale(0, highest or 1),
        "learning": Scale(0, max((row.q3 for row in figures.learning), default=1) * 1.05),
        "charts": procedure_charts,
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
    order by max(warning_fraction) over (partition by quantity) desc, quantity, warning_fraction desc, dose_window
"""

_HIGHEST = "select procedure_id from marts.dim_procedure_page where is_highest_of_operator"

# The own among the highest of anybody in the last 31 days, in the order of dim_procedure_page.
_WORST = """
    select
        procedures.procedure_id, procedures.procedure_type, procedures.started_at, procedures.procedure_date,
        coalesce(rooms.room_name, procedures.room_id), facts.hp10_usv, explanations.hp10_ratio,
        explanations.main_cause
    from marts.dim_procedure_page as pages
    inner join marts.fct_operator_procedure as facts
        on pages.procedure_id = facts.procedure_id and facts.operator_id = $operator
    inner join marts.fct_procedure as procedures on facts.procedure_id = procedures.procedure_id
    left join marts.fct_dose_explanation as explanations
        on facts.procedure_id = explanations.procedure_id and facts.operator_id = explanations.operator_id
    left join marts.dim_room as rooms on procedures.room_id = rooms.room_id
    where pages.is_highest_of_operator and facts.hp10_usv is not null
    order by explanations.hp10_ratio desc nulls last, facts.hp10_usv desc, procedures.procedure_id
    limit $rows
"""

_IS_TRAINEE = "select 1 from marts.dim_operator where operator_id = $operator and grade = 'trainee'"

_LEARNING = f"""
    with
    doses as (
        select
            facts.operator_id, operators.grade, procedures.procedure_type, facts.role_group,
            procedures.procedure_date, facts.hp10_usv, as_of
        from marts.fct_operator_procedure as facts
        inner join marts.fct_procedure as procedures on facts.procedure_id = procedures.procedure_id
        inner join marts.dim_operator as operators on facts.operator_id = operators.operator_id
        {_AS_OF}
        where
            facts.hp10_usv is not null and procedures.procedure_type <> 'unclassified'
            and (procedures.patient_age_years is null or procedures.patient_age_years >= 18)
    ),
    consultants as (
        select procedure_type, role_group, median(hp10_usv) as usual_usv
        from doses
        where grade = 'consultant' and procedure_date > as_of - interval 12 month
        group by procedure_type, role_group
        having count(*) >= $least and count(distinct operator_id) >= $people and usual_usv > 0
    ),
    own as (
        select date_trunc('quarter', doses.procedure_date)::date as quarter, doses.hp10_usv / usual_usv as ratio
        from doses
        inner join consultants
            on doses.procedure_type = consultants.procedure_type and doses.role_group = consultants.role_group
        where operator_id = $operator and grade = 'trainee' and procedure_date > as_of - interval 3 year
    )
    select quarter, count(*), quantile_cont(ratio, 0.25), median(ratio), quantile_cont(ratio, 0.75)
    from own
    group by quarter
    order by quarter
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
