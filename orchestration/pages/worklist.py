"""The findings as a CSV to fill in, beside the page of today: `doseledger alert import` takes it back.

The columns are defined here and nowhere else.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from datetime import date

import duckdb

ANSWER = ("alert_id", "action", "by", "on", "comment")  # the columns of reference/alert_log.csv


@dataclass(frozen=True, slots=True)
class Row:
    """One finding; beside its identifier, the fields are columns that help to answer and that the import ignores."""

    alert_id: str
    severity: str
    state: str
    rule: str
    occurred_on: date | None
    operator_id: str | None
    procedure_id: str | None
    accession_number: str | None
    room: str | None
    quantity: str | None
    value: float | None
    threshold: float | None
    unit: str | None
    message: str | None

    @property
    def state_of_answer(self) -> str:
        """Tell open findings from answered ones."""
        return "open" if self.state == "open" else "answered"


CONTEXT = tuple(field.name for field in fields(Row)[1:])
# What a spreadsheet takes for a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Selection:
    """Which findings are meant: None leaves a column open. ``since`` keeps findings without a date."""

    rule: str | None = None
    severity: str | None = None
    operator_id: str | None = None
    procedure_id: str | None = None
    since: date | None = None


def worklist(connection: duckdb.DuckDBPyConnection) -> str:
    """Write one row per open finding that medical physics sees, the gravest first; the answer is empty."""
    return as_csv(row for row in read_rows(connection, Selection()) if row.state == "open")


def read_rows(connection: duckdb.DuckDBPyConnection, selection: Selection) -> list[Row]:
    """Read the findings of a published database, the gravest first, whatever their state."""
    values = {name: getattr(selection, name) for name in Selection.__slots__}
    return [Row(*row) for row in connection.execute(_ROWS, values).fetchall()]


def as_csv(rows: Iterable[Row]) -> str:
    """Write findings as a CSV with an empty answer each."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow([*ANSWER, *CONTEXT])
    for row in rows:
        alert_id, *cells = astuple(row)
        writer.writerow([alert_id, "", "", "", "", *map(_harmless, cells)])
    return text.getvalue()


def _harmless(value: object) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(FORMULA) else text


_ROWS = """
    select
        findings.alert_id, findings.severity, findings.state, findings.rule, findings.occurred_on,
        findings.operator_id, findings.procedure_id, procedures.accession_number,
        coalesce(rooms.room_name, findings.room_id, procedures.room_id) as room,
        findings.quantity, findings.value, findings.threshold, findings.unit, findings.message
    from alerts.alert as findings
    left join marts.fct_procedure as procedures on findings.procedure_id = procedures.procedure_id
    left join marts.dim_room as rooms on coalesce(findings.room_id, procedures.room_id) = rooms.room_id
    where
        ($rule is null or findings.rule = $rule)
        and ($severity is null or findings.severity = $severity)
        and ($operator_id is null or findings.operator_id = $operator_id)
        and ($procedure_id is null or findings.procedure_id = $procedure_id)
        and ($since is null or findings.occurred_on is null or findings.occurred_on >= $since)
    order by
        list_position(['urgent', 'review', 'notice'], findings.severity), findings.occurred_on desc nulls last,
        findings.alert_id
"""
