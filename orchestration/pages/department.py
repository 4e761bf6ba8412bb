"""The page of a head of department: aggregates that are large enough to show, and nothing that names a person."""

from __future__ import annotations

from dataclasses import dataclass, fields

import duckdb

from orchestration.pages.page import Frame, Page

# Trees of department.dose_statistics -> their two dimensions, in the order of the table.
BREAKDOWNS = {
    "month_room": ("month", "room"),
    "procedure_type_room": ("procedure_type", "room"),
    "operator_group_procedure_type": ("operator_group", "procedure_type"),
}


@dataclass(frozen=True, slots=True)
class Statistic:
    """One row of department.dose_statistics; a dimension that is None is over all of its values."""

    breakdown: str
    first_month: str | None
    last_month: str
    month: str | None
    room: str | None
    procedure_type: str | None
    operator_group: str | None
    procedures: int
    median_kap_gy_cm2: float | None
    q3_kap_gy_cm2: float | None
    median_ka_r_mgy: float | None
    median_fluoro_time_s: float | None
    median_hp10_usv: float | None
    q3_hp10_usv: float | None
    median_hp10_per_kap_usv_per_gy_cm2: float | None

    def value(self, dimension: str) -> str | None:
        """Return the value of a dimension."""
        found: str | None = getattr(self, dimension)
        return found

    @property
    def is_total(self) -> bool:
        """Tell whether the row is over all values of both dimensions."""
        return not any(self.value(dimension) for dimension in BREAKDOWNS[self.breakdown])


def read_statistics(connection: duckdb.DuckDBPyConnection) -> dict[str, tuple[Statistic, ...]]:
    """Read the department's copy by breakdown, and nothing else."""
    columns = ", ".join(field.name for field in fields(Statistic))
    query = (
        f"select {columns} from department.dose_statistics"
        " order by month nulls first, procedures desc, room nulls first, procedure_type, operator_group"
    )
    found = [Statistic(*row) for row in connection.execute(query).fetchall()]
    return {name: tuple(row for row in found if row.breakdown == name) for name in BREAKDOWNS}


def department_page(connection: duckdb.DuckDBPyConnection, frame: Frame) -> Page:
    """Render the page from the department's copy."""
    statistics = read_statistics(connection)
    total = next((row for rows in statistics.values() for row in rows if row.is_total), None)
    return frame.page("index.html", "department.html.j2", statistics=statistics, breakdowns=BREAKDOWNS, total=total)
