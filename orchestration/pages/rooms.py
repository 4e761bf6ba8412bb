"""Rooms: which one shields its staff worst, whether its C-arm badge drifts, and how good its clock and reports are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import duckdb

from orchestration.figures.habits import least_of_a_ratio
from orchestration.pages.page import Frame, Page
from orchestration.pages.svg import Scale

CLOCK_DAYS = 90


@dataclass(frozen=True, slots=True)
class Point:
    """Median and quartiles of one month."""

    month: date
    n: int
    q1: float
    median: float
    q3: float


@dataclass(frozen=True, slots=True)
class Shielding:
    """Hp(10) in percent of the C-arm's dose in one room and role group, 12 months and by month.

    Attributes:
        has_drift: whether the badge on the C-arm, by whose dose is divided, was moved.
        is_enough: whether there are enough procedures to compare.
    """

    months: tuple[Point, ...]
    room: str
    role_group: str
    n: int
    n_operators: int
    q1: float
    median: float
    q3: float
    has_drift: bool
    is_enough: bool

    @property
    def is_comparable(self) -> bool:
        """Tell whether rooms may be ordered by it: not if the C-arm's badge, by which it is divided, has drifted."""
        return self.is_enough and not self.has_drift


@dataclass(frozen=True, slots=True)
class Scatter:
    """C-arm dose per KAP of one room, geometric mean of a month; µSv/(Gy·cm²)."""

    months: tuple[Point, ...]
    room: str
    n: int
    usual: float
    last: float


@dataclass(frozen=True, slots=True)
class Quality:
    """How complete the reports of one room are in 12 months, and its clock in the last days."""

    room: str
    procedures: int
    with_kap: int
    with_ka_r: int
    with_c_arm: int
    calibrated: int
    clock_offset_s: float | None
    clock_days: int
    clock_accepted: int

    def share(self, count: int) -> float | None:
        """Share of the procedures."""
        return count / self.procedures if self.procedures else None


@dataclass(frozen=True, slots=True)
class Calibration:
    """Factor on the reported KAP of a room and plane; ``valid_to`` is None for the one in force.

    Attributes:
        factor: None where the site has stated none for the room, whose KAP is then taken as reported.
        is_in_force: whether it holds on the date of the publication.
    """

    room: str
    plane: str | None
    factor: float | None
    valid_from: date | None
    valid_to: date | None
    certificate: str | None
    is_in_force: bool


@dataclass(frozen=True, slots=True)
class RoomFigures:
    """What the page shows; ``worst`` is the room with the highest median share of first operators."""

    shielding: tuple[Shielding, ...]
    scatter: tuple[Scatter, ...]
    quality: tuple[Quality, ...]
    calibrations: tuple[Calibration, ...]

    @property
    def uncalibrated(self) -> tuple[Calibration, ...]:
        """Rooms without any calibration."""
        return tuple(row for row in self.calibrations if row.factor is None)

    @property
    def worst(self) -> Shielding | None:
        """The room whose first operators receive the largest median share of the C-arm's dose."""
        of_first = [row for row in self.shielding if row.role_group == "first_operator" and row.is_comparable]
        return max(of_first, key=lambda row: row.median, default=None) if len(of_first) > 1 else None

    @property
    def best(self) -> Shielding | None:
        """The room with the smallest one."""
        of_first = [row for row in self.shielding if row.role_group == "first_operator" and row.is_comparable]
        return min(of_first, key=lambda row: row.median, default=None) if len(of_first) > 1 else None


def room_figures(connection: duckdb.DuckDBPyConnection) -> RoomFigures:
    """Read what the page shows from the published warehouse; 12 months to as_of."""
    return RoomFigures(
        shielding=tuple(
            Shielding(_points(months), *row)
            for months, *row in connection.execute(_SHIELDING, [least_of_a_ratio(connection)]).fetchall()
        ),
        scatter=tuple(Scatter(_points(months), *row) for months, *row in connection.execute(_SCATTER).fetchall()),
        quality=tuple(Quality(*row) for row in connection.execute(_QUALITY, [CLOCK_DAYS]).fetchall()),
        calibrations=tuple(Calibration(*row) for row in connection.execute(_CALIBRATIONS).fetchall()),
    )


def _points(months: list[dict[str, Any]] | None) -> tuple[Point, ...]:
    return tuple(Point(**month) for month in months or ())


def rooms_page(connection: duckdb.DuckDBPyConnection, frame: Frame) -> Page:
    """Render the page."""
    figures = room_figures(connection)
    least_rows = least_of_a_ratio(connection)
    least_kap, least_c_arm = connection.execute(_LEAST_OF_SCATTER).fetchall()[0]
    values = {
        "least_rows": least_rows,
        "least_kap": least_kap,
        "least_c_arm": least_c_arm,
        "shares": _scale([point for row in figures.shielding for point in row.months if point.n >= least_rows]),
        "scatters": _scale([point for row in figures.scatter for point in row.months]),
        "clock_days": CLOCK_DAYS,
    }
    return frame.page("rooms.html", "rooms.html.j2", figures=figures, **values)


def _scale(points: Sequence[Point]) -> Scale:
    """One scale for charts that are compared."""
    return Scale(0, max((point.q3 for point in points), default=1))


_SHIELDING = """
    with
    facts as (
        select
            coalesce(rooms.room_name, procedures.room_id) as room, procedures.room_id, facts.role_group,
            facts.operator_id, facts.hp10_to_c_arm_percent
        from marts.fct_operator_procedure as facts
        inner join marts.fct_procedure as procedures on facts.procedure_id = procedures.procedure_id
        left join marts.dim_room as rooms on procedures.room_id = rooms.room_id
        cross join (select max(as_of) as as_of from ledger.publication)
        where
            procedures.procedure_date > as_of - interval 12 month and facts.hp10_to_c_arm_percent is not null
    ),
    drifts as (
        select distinct room_id
        from alerts.alert
        cross join (select max(as_of) as as_of from ledger.publication)
        where rule = 'data_quality' and quantity = 'c_arm_drift' and occurred_on > as_of - interval 12 month
    ),
    months as (
        select
            room_id, role_group,
            list({'month': month, 'n': n, 'q1': q1, 'median': median, 'q3': q3} order by month) as months
        from marts.fct_room_month
        where quantity = 'hp10_to_c_arm'
        group by room_id, role_group
    )
    select
        any_value(months.months), facts.room, facts.role_group, count(*), count(distinct facts.operator_id),
        quantile_cont(hp10_to_c_arm_percent, 0.25), median(hp10_to_c_arm_percent) as usual,
        quantile_cont(hp10_to_c_arm_percent, 0.75), any_value(drifts.room_id) is not null,
        count(*) >= ?
    from facts
    left join drifts on facts.room_id = drifts.room_id
    left join months on facts.room_id = months.room_id and facts.role_group = months.role_group
    group by facts.room, facts.role_group
    order by facts.role_group <> 'first_operator', facts.role_group, usual desc, facts.room
"""

_LEAST_OF_SCATTER = """
    select max(value) filter (name = 'min_kap'), max(value) filter (name = 'min_c_arm_dose')
    from marts.dim_comparison_threshold
"""

_SCATTER = """
    with
    months as (
        select
            coalesce(rooms.room_name, procedures.room_id) as room,
            date_trunc('month', procedures.procedure_date)::date as month, count(*) as n,
            sum(ln(c_arm_dose_usv / kap_gy_cm2)) as log_sum,
            exp(quantile_cont(ln(c_arm_dose_usv / kap_gy_cm2), 0.25)) as q1,
            exp(avg(ln(c_arm_dose_usv / kap_gy_cm2))) as median,
            exp(quantile_cont(ln(c_arm_dose_usv / kap_gy_cm2), 0.75)) as q3
        from marts.fct_procedure as procedures
        left join marts.dim_room as rooms on procedures.room_id = rooms.room_id
        cross join (select max(as_of) as as_of from ledger.publication)
        where
            procedures.procedure_date > as_of - interval 12 month
            and kap_gy_cm2 >= (select value from marts.dim_comparison_threshold where name = 'min_kap')
            and c_arm_dose_usv >= (select value from marts.dim_comparison_threshold where name = 'min_c_arm_dose')
        group by 1, 2
    )
    select
        list({'month': month, 'n': n, 'q1': q1, 'median': median, 'q3': q3} order by month), room, sum(n)::bigint,
        exp(sum(log_sum) / sum(n)), last(median order by month)
    from months
    group by room
    order by room
"""

_QUALITY = """
    with
    clocks as (
        select
            room_id, last(offset_s order by offset_date) filter (where is_accepted) as offset_s,
            count(*) filter (where method <> 'none' or n_events > 0) as days,
            count(*) filter (where is_accepted) as accepted
        from ledger.clock_offset
        cross join (select max(as_of) as as_of from ledger.publication)
        where offset_date > as_of - ?::integer
        group by room_id
    )
    select
        coalesce(rooms.room_name, procedures.room_id), count(*), count(kap_gy_cm2), count(ka_r_mgy),
        count(c_arm_dose_usv), count(*) filter (where is_kap_calibrated), any_value(clocks.offset_s),
        coalesce(any_value(clocks.days), 0), coalesce(any_value(clocks.accepted), 0)
    from marts.fct_procedure as procedures
    left join marts.dim_room as rooms on procedures.room_id = rooms.room_id
    left join clocks on procedures.room_id = clocks.room_id
    cross join (select max(as_of) as as_of from ledger.publication)
    where procedures.procedure_date > as_of - interval 12 month
    group by 1
    order by 1
"""

# The newest of each plane first; a room without any is listed with nothing.
_CALIBRATIONS = """
    select
        coalesce(rooms.room_name, rooms.room_id), plane, kap_factor, valid_from, valid_to, certificate,
        coalesce(as_of between valid_from and coalesce(valid_to, as_of), false)
    from marts.dim_room as rooms
    left join marts.dim_kap_calibration as calibrations on rooms.room_id = calibrations.room_id
    cross join (select max(as_of) as as_of from ledger.publication)
    where rooms.room_id <> 'unknown'
    order by 1, plane, valid_from desc
"""
