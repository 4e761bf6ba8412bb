"""The open findings as a CSV to fill in beside the page of today: `doseledger alert import` takes it back."""

from __future__ import annotations

import csv
import io

import duckdb

ANSWER = ("alert_id", "action", "by", "on", "comment")  # the columns of reference/alert_log.csv
# What helps to answer; the import does not read it.
CONTEXT = (
    "severity",
    "rule",
    "occurred_on",
    "operator_id",
    "procedure_id",
    "accession_number",
    "room",
    "quantity",
    "value",
    "threshold",
    "unit",
    "message",
)
# What a spreadsheet takes for a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def worklist(connection: duckdb.DuckDBPyConnection) -> str:
    """Write one row per open finding that medical physics sees, the gravest first; the answer is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow([*ANSWER, *CONTEXT])
    for alert_id, *cells in connection.execute(_OPEN).fetchall():
        writer.writerow([alert_id, "", "", "", "", *map(_harmless, cells)])
    return text.getvalue()


def _harmless(value: object) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(FORMULA) else text


_OPEN = """
    select
        findings.alert_id, findings.severity, findings.rule, findings.occurred_on, findings.operator_id,
        findings.procedure_id, procedures.accession_number, coalesce(rooms.room_name, findings.room_id) as room,
        findings.quantity, findings.value, findings.threshold, findings.unit, findings.message
    from alerts.alert as findings
    left join marts.fct_procedure as procedures on findings.procedure_id = procedures.procedure_id
    left join marts.dim_room as rooms on coalesce(findings.room_id, procedures.room_id) = rooms.room_id
    where findings.state = 'open'
    order by
        list_position(['urgent', 'review', 'notice'], findings.severity), findings.occurred_on desc nulls last,
        findings.alert_id
"""
