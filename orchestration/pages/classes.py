"""Classes: patient dose against the reference levels, staff dose, and which class rose or fell against last year."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date

import duckdb

from orchestration.pages.page import Frame, Page
from orchestration.pages.svg import Scale

# Quantity -> (unit, decimals); staff dose is that of first operators.
QUANTITIES = {
    "kap": ("Gy·cm²", 1),
    "ka_r": ("mGy", 0),
    "fluoro_time": ("s", 0),
    "hp10": ("µSv", 1),
}
ROLE_GROUP = "first_operator"


@dataclass(frozen=True, slots=True)
class Quarter:
    """Median and quartiles of one quarter; change is the ratio to the same quarter a year before."""

    quarter: date
    n: int
    q1: float
    median: float
    q3: float
    change: float | None
    change_low: float | None
    change_high: float | None

    @property
    def is_rise(self) -> bool:
        """Tell whether the interval of the change lies wholly above 1."""
        return self.change_low is not None and self.change_low > 1

    @property
    def is_fall(self) -> bool:
        """Tell whether it lies wholly below 1."""
        return self.change_high is not None and self.change_high < 1


@dataclass(frozen=True, slots=True)
class Level:
    """The reference level of a class and quantity, and the site's median as a ratio to it."""

    value: float
    scope: str
    ratio: float | None
    citation: str


@dataclass(frozen=True, slots=True)
class Series:
    """One quantity of one class by quarter."""

    procedure_type: str
    quantity: str
    quarters: tuple[Quarter, ...]
    level: Level | None

    @property
    def last(self) -> Quarter:
        """The last quarter."""
        return self.quarters[-1]


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """What the page shows: series by quantity, the class with most procedures first."""

    series: dict[str, tuple[Series, ...]]

    @property
    def rises(self) -> tuple[Series, ...]:
        """Series whose last quarter is clearly above last year's, the largest change first."""
        found = [row for rows in self.series.values() for row in rows if row.last.is_rise]
        return tuple(sorted(found, key=lambda row: -(row.last.change or 0)))

    @property
    def by_chance(self) -> float:
        """Number of series that would be above last year's by chance: 2.5 % of those with a 95 % interval."""
        return 0.025 * self.compared

    @property
    def compared(self) -> int:
        """Number of series that could be compared with last year."""
        return sum(row.last.change is not None for rows in self.series.values() for row in rows)

    @property
    def above_level(self) -> tuple[Series, ...]:
        """Series whose median is above the reference level."""
        return tuple(row for rows in self.series.values() for row in rows if row.level and (row.level.ratio or 0) > 1)


def class_figures(connection: duckdb.DuckDBPyConnection) -> ClassFigures:
    """Read what the page shows from the published warehouse."""
    levels = {
        (procedure_type, quantity): Level(*level)
        for procedure_type, quantity, *level in connection.execute(_LEVELS).fetchall()
    }
    quarters = defaultdict(list)
    for procedure_type, quantity, *quarter in connection.execute(_QUARTERS, [ROLE_GROUP]).fetchall():
        quarters[procedure_type, quantity].append(Quarter(*quarter))
    series = [Series(*key, tuple(rows), levels.get(key)) for key, rows in quarters.items()]
    series.sort(key=lambda row: (-sum(quarter.n for quarter in row.quarters), row.procedure_type))
    return ClassFigures({name: tuple(row for row in series if row.quantity == name) for name in QUANTITIES})


def classes_page(connection: duckdb.DuckDBPyConnection, frame: Frame) -> Page:
    """Render the page."""
    figures = class_figures(connection)
    scales = {
        row: Scale(0, max(row.level.value if row.level else 0, *(quarter.q3 for quarter in row.quarters)) * 1.05)
        for rows in figures.series.values()
        for row in rows
    }
    values = {"quantities": QUANTITIES, "scale_of": scales.__getitem__}
    return frame.page("classes.html", "classes.html.j2", figures=figures, **values)


_QUARTERS = """
    select procedure_type, quantity, quarter, n, q1, median, q3, change_vs_last_year, change_low, change_high
    from marts.fct_class_quarter
    where role_group = ? and median is not null
    order by procedure_type, quantity, quarter
"""

# Of the whole site: the ratio of one room would be drawn beside the median of all.
_LEVELS = """
    select procedure_type, quantity, drl_value, drl_scope, ratio_to_drl, coalesce(drl_citation, '')
    from marts.fct_reference_level
    where drl_value is not null and room_id is null
"""
