"""Today: what medical physics looks at in the morning. The heading answers, the tables and charts below prove it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from itertools import groupby

import duckdb

from orchestration.figures.digest import Balance, read_advice, read_days
from orchestration.figures.habits import least_of_a_ratio
from orchestration.figures.open_findings import AUDIENCES, Finding, read_findings
from orchestration.letters.advice import advice_of
from orchestration.letters.finding_words import PROJECTED, explanation
from orchestration.pages.cases import SEVERITIES, Case, by_gravity, read_cases
from orchestration.pages.page import Frame, Page
from orchestration.pages.svg import Scale

SHOWN = 12  # procedures, people or patients that are listed at once; the others are one click away
FINDING_DAYS = 31
NEAR_SHARE = 0.25  # of a limit, from which on a person is listed
RATIOS = Scale(0.5, 4, is_log=True)


@dataclass(frozen=True, slots=True)
class LimitRow:
    """One person's dose against the nearest limit, in mSv; ``severity`` of the open finding, if there is one."""

    operator_id: str
    quantity: str
    dose_window: str
    received_msv: float | None
    limit_msv: float
    received_share: float | None
    projected_share: float | None
    is_estimate: bool
    is_in_part_below_detection: bool = False
    severity: str | None = None
    is_projected_over: bool = False

    @property
    def projected_msv(self) -> float | None:
        """Dose at the end of the year, if it goes on so."""
        return None if self.projected_share is None else self.projected_share * self.limit_msv


@dataclass(frozen=True, slots=True)
class HabitRow:
    """One person's protection ratio of 12 months with its 95 % interval, wholly above 1."""

    operator_id: str
    role_group: str
    n: int
    ratio: float
    low: float
    high: float
    above_usual_usv: float | None


@dataclass(frozen=True, slots=True)
class SkinRow:
    """A follow-up of a patient's skin that is not done; ``due_on`` is the last date of what is to be done next."""

    procedure_id: str
    accession_number: str | None
    procedure_type: str
    room: str
    day: date
    need: str
    state: str
    ka_r_mgy: float | None
    due_on: date
    skin_dose_upper_mgy: float | None
    is_informed: bool

    @property
    def is_overdue(self) -> bool:
        """Tell whether that date has passed."""
        return self.state == "overdue"

    @property
    def severity(self) -> str:
        """Urgent where the skin is to be examined; a patient who is informed only is noticed."""
        return "notice" if self.need == "inform" else "urgent"


@dataclass(frozen=True, slots=True)
class Fault:
    """Open findings about the data of one kind."""

    findings: tuple[Finding, ...]
    rooms: dict[str, str] = field(default_factory=dict)

    @property
    def kind(self) -> Finding:
        """One of them: all have the same kind."""
        return self.findings[0]


@dataclass(frozen=True, slots=True)
class TodayFigures:
    """What the page shows.

    Attributes:
        since: first day of the findings that are shown.
        cases: procedures with open findings since then, the gravest first.
        people: number of operators, of which those near a limit and those with a habit are parts.
        limits: people above a quarter of a limit, the nearest first.
        habits: people who receive clearly more of the C-arm's dose than colleagues do.
        skin: follow-ups that are not done: what is still in time first, by date.
        faults: open findings about the data since then.
        staff, c_arm: where the dose of the badges went in the month of as_of.
    """

    since: date
    cases: tuple[Case, ...]
    people: int
    limits: tuple[LimitRow, ...]
    habits: tuple[HabitRow, ...]
    skin: tuple[SkinRow, ...]
    faults: tuple[Fault, ...]
    not_worn: int
    staff: Balance
    c_arm: Balance

    def count(self, severity: str) -> int:
        """Count the procedures whose gravest finding has a severity."""
        return sum(case.severity == severity for case in self.cases)

    @property
    def overdue(self) -> tuple[SkinRow, ...]:
        """Follow-ups whose date has passed."""
        return tuple(row for row in self.skin if row.is_overdue)

    @property
    def in_time(self) -> tuple[SkinRow, ...]:
        """Follow-ups whose date is still to come."""
        return tuple(row for row in self.skin if not row.is_overdue)

    @property
    def over(self) -> tuple[LimitRow, ...]:
        """People whose projection, or dose received, reaches a limit."""
        return tuple(row for row in self.limits if row.is_projected_over or (row.received_share or 0) >= 1)

    @property
    def is_one_limit(self) -> bool:
        """Tell whether all people are listed by the same limit, which is then named once."""
        return len({(row.quantity, row.dose_window, row.limit_msv) for row in self.limits}) == 1

    @property
    def with_step(self) -> tuple[LimitRow, ...]:
        """People with an open finding about a limit."""
        return tuple(row for row in self.limits if row.severity)

    def worst(self, severities: Sequence[str | None]) -> str:
        """Return the gravest of some severities; ``ok`` where there is none."""
        return next((severity for severity in SEVERITIES if severity in severities), "ok")


def today_figures(connection: duckdb.DuckDBPyConnection, as_of: date) -> TodayFigures:
    """Read what the page shows from the published warehouse."""
    since = as_of - timedelta(days=FINDING_DAYS - 1)
    findings = read_findings(connection, AUDIENCES)
    recent = [finding for finding in findings if finding.occurred_on and finding.occurred_on >= since]
    of_procedures = defaultdict(list)
    for finding in recent:
        if finding.procedure_id:
            of_procedures[finding.procedure_id].append(finding)
    days = [day for day in read_days(connection) if day.day >= as_of.replace(day=1)]
    (people,) = connection.execute(_PEOPLE).fetchall()[0]
    rooms = dict(connection.execute("select room_id, room_name from marts.dim_room where room_name <> ''").fetchall())
    return TodayFigures(
        since=since,
        cases=tuple(sorted(read_cases(connection, of_procedures, list(of_procedures)), key=by_gravity)),
        people=people,
        limits=nearest_limits(connection, findings, NEAR_SHARE),
        habits=tuple(HabitRow(*row) for row in connection.execute(_HABITS, [least_of_a_ratio(connection)]).fetchall()),
        skin=tuple(SkinRow(*row) for row in connection.execute(_SKIN).fetchall()),
        faults=_faults(recent, rooms),
        not_worn=sum(finding.rule == "badge_not_worn" and bool(finding.procedure_id) for finding in recent),
        staff=sum((day.balance for day in days if not day.is_c_arm), Balance()),
        c_arm=sum((day.balance for day in days if day.is_c_arm), Balance()),
    )


def today_page(connection: duckdb.DuckDBPyConnection, frame: Frame) -> Page:
    """Render the page."""
    figures = today_figures(connection, frame.edition.as_of)
    published = read_advice(connection)

    def advise(finding: Finding) -> str:
        return advice_of(finding.advice_code, finding.procedure_type, published, frame.words, "advice")

    return frame.page(
        "index.html",
        "today.html.j2",
        figures=figures,
        heading=heading(figures, frame),
        shown=SHOWN,
        least_rows=least_of_a_ratio(connection),
        ratios=RATIOS,
        near_share=NEAR_SHARE,
        advise=advise,
        explain=lambda finding: explanation(finding, frame.words),
    )


def heading(figures: TodayFigures, frame: Frame) -> str:
    """Answer whether anything is urgent: the two gravest of what there is, else that nothing is."""
    counts = {
        "overdue": len(figures.overdue),
        "examine": sum(row.severity == "urgent" for row in figures.in_time),
        "over": len(figures.over),
        "step": 0 if figures.over else len(figures.with_step),
        "review": figures.count("review"),
    }
    parts = [frame.say(f"today.heading.{name}", count=count) for name, count in counts.items() if count]
    if not parts:
        return frame.say("today.heading.nothing")
    both = parts[0] if len(parts) == 1 else frame.say("today.heading.both", first=parts[0], second=parts[1])
    return both[0].upper() + both[1:]


def nearest_limits(
    connection: duckdb.DuckDBPyConnection, findings: Sequence[Finding], least: float
) -> tuple[LimitRow, ...]:
    """List the nearest limit of each person who received a share of it, with the gravest open finding about limits."""
    severity: dict[str, str] = {}
    projected = set()
    for finding in findings:  # the gravest comes first
        if finding.rule == "dose_limit" and finding.operator_id:
            severity.setdefault(finding.operator_id, finding.severity)
            if finding.detail == PROJECTED:
                projected.add(finding.operator_id)
    rows = [LimitRow(*row) for row in connection.execute(_LIMITS, [least]).fetchall()]
    return tuple(
        replace(row, severity=severity.get(row.operator_id), is_projected_over=row.operator_id in projected)
        for row in rows
    )


def _faults(findings: Sequence[Finding], rooms: dict[str, str]) -> tuple[Fault, ...]:
    """Findings about the data by what they are about, the gravest kinds first."""

    def kind(finding: Finding) -> tuple[int, str]:
        return SEVERITIES.index(finding.severity), finding.quantity or ""

    of_data = sorted((finding for finding in findings if finding.rule == "data_quality"), key=kind)
    return tuple(Fault(tuple(group), rooms) for _, group in groupby(of_data, kind))


_PEOPLE = "select count(distinct operator_id) from marts.fct_operator_procedure"

_LIMITS = """
    select
        operator_id, quantity, dose_window, warning_dose_msv, limit_msv, warning_fraction, projected_fraction,
        coalesce(is_estimate, false), dose_high_msv is distinct from dose_low_msv
    from marts.fct_operator_limit
    where dose_window <> 'pregnancy' and warning_fraction >= ?
    qualify row_number() over (
        partition by operator_id order by warning_fraction desc, projected_fraction desc nulls last, quantity
    ) = 1
    order by warning_fraction desc, operator_id
"""

_HABITS = """
    select operator_id, role_group, n, protection_ratio, ci_low, ci_high, above_usual_usv
    from marts.fct_operator_protection
    where period = 'rolling_12_months' and n >= ? and ci_low > 1
    order by protection_ratio desc, operator_id
"""

_SKIN = """
    select
        followups.procedure_id, procedures.accession_number, procedures.procedure_type,
        coalesce(rooms.room_name, procedures.room_id), procedures.procedure_date, followups.need, followups.state,
        coalesce(followups.ka_r_mgy, procedures.ka_r_mgy), followups.due_on, skin.skin_dose_upper_mgy,
        followups.informed_on is not null
    from marts.fct_skin_followup as followups
    inner join marts.fct_procedure as procedures on followups.procedure_id = procedures.procedure_id
    left join marts.dim_room as rooms on procedures.room_id = rooms.room_id
    left join marts.fct_skin_dose as skin on followups.procedure_id = skin.procedure_id
    where followups.due_on is not null and followups.state <> 'seen'
    order by
        followups.state = 'overdue', list_position(['examine_twice', 'examine', 'inform'], followups.need),
        case when followups.state = 'overdue' then -epoch(followups.due_on) else epoch(followups.due_on) end,
        followups.procedure_id
"""
