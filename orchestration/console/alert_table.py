"""Findings as a table for the terminal: one line each, with the identifier that answers it."""

from __future__ import annotations

from orchestration.console.alert_actions import Found
from orchestration.console.aligned import aligned
from orchestration.pages.worklist import Row

HEADER = ("ID", "severity", "state", "date", "rule", "operator", "procedure", "room", "quantity", "value", "threshold")
TO_RIGHT = ("value", "threshold")


def finding_lines(found: Found) -> list[str]:
    """Return the header and a line per finding, each with an identifier that no other finding has; none of nothing."""
    if not found.rows:
        return []
    return aligned(HEADER, [_cells(row, found.short_ids[row.alert_id]) for row in found.rows], TO_RIGHT)


def _cells(row: Row, name: str) -> tuple[str, ...]:
    return (
        name,
        row.severity,
        row.state,
        str(row.occurred_on or ""),
        row.rule,
        row.operator_id or "",
        row.accession_number or (row.procedure_id or "")[:8],
        row.room or "",
        row.quantity or "",
        _amount(row.value, row.unit),
        _amount(row.threshold, row.unit),
    )


def _amount(value: float | None, unit: str | None) -> str:
    return "" if value is None else f"{value:,.6g} {unit or ''}".rstrip()
