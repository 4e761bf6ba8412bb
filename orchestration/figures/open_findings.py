"""The open findings of a published database, as rows, with what the published tables add to each.

Only reading is here. How a finding is worded is in letters/finding_words.py, who gets it in letters/delivery.py.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields
from datetime import date
from typing import Any

import duckdb

# Medical physics sees these two (contract, "alerts").
AUDIENCES = ("operator", "medical_physics")


@dataclass(frozen=True, slots=True)
class LimitShare:
    """Dose of one operator in one window against one limit, in mSv.

    Attributes:
        window: ``calendar_year``, ``rolling_12_months``, ``rolling_5_years`` or ``pregnancy``.
        fraction: dose / limit; None where no dose is known.
        projected_fraction: the same at the end of the calendar year, if the year goes on so.
    """

    quantity: str
    window: str
    limit_rule: str
    window_begin: date
    window_end: date
    dose_msv: float | None
    limit_msv: float
    fraction: float | None
    projected_fraction: float | None


@dataclass(frozen=True, slots=True)
class Finding:
    """One open row of alerts.alert, with the procedure type of its procedure.

    Attributes:
        step: the fixed step reached and what tells findings of one rule apart, as one code.
        detail: what the finding is about beside its other columns: source, badge, device, class; joined by ``/``.
        days: days over which the rule sums, where it does.
        decided_by: which of ``third_quartile``, ``floor`` and, where the rule has one, the cap is the threshold.
        limit: the limit that a finding about one is about.
    """

    alert_id: str
    rule: str
    severity: str
    audience: str
    operator_id: str | None
    procedure_id: str | None
    procedure_type: str | None
    room_id: str | None
    occurred_on: date | None
    quantity: str | None
    value: float | None
    threshold: float | None
    unit: str | None
    n_reference: int | None
    message: str | None
    advice_code: str | None = None
    step: str | None = None
    detail: str | None = None
    days: float | None = None
    third_quartile: float | None = None
    floor: float | None = None
    decided_by: str | None = None
    limit: LimitShare | None = None


def read_findings(connection: duckdb.DuckDBPyConnection, audiences: Collection[str]) -> tuple[Finding, ...]:
    """Read the open findings of some audiences, the gravest first, then the latest.

    Args:
        connection: to a published database; medical physics' own has no restricted ones.
        audiences: of ``operator``, ``medical_physics`` and ``restricted``.
    """
    rows = connection.execute(_FINDINGS, [list(audiences)]).fetchall()
    return tuple(_finding(row) for row in rows)


def _finding(row: tuple[Any, ...]) -> Finding:
    """The finding of a row of the query below: its own columns, then those of the limit, NULL where there is none."""
    limit_at = len(fields(Finding)) - 1
    limit = LimitShare(*row[limit_at:]) if row[limit_at] else None
    return Finding(*row[:limit_at], limit)  # type: ignore[call-arg]  # mypy counts a sliced tuple as endless


_FINDINGS = """
    select
        alert_id, alert.rule, alert.severity, alert.audience, alert.operator_id, procedure_id, procedure_type,
        coalesce(alert.room_id, fct_procedure.room_id), occurred_on,
        alert.quantity, value, threshold, alert.unit, n_reference, message, advice_code, alert.step, alert.detail,
        summed.threshold_value, third_quartile, floor, decided_by,
        shares.quantity, shares."window", shares.limit_rule, window_begin, window_end, dose_msv, limit_msv,
        fraction_of_limit, projected_fraction
    from alerts.alert
    left join marts.fct_procedure using (procedure_id)
    left join marts.dim_alert_threshold as summed on summed.rule = alert.rule and summed.name = 'sum_days'
    left join marts.fct_operator_limit as shares
        on shares.operator_id = alert.operator_id
        and shares.limit_rule = alert.limit_rule
        and shares."window" = alert.dose_window
        and (shares.quantity = alert.quantity or alert.rule = 'pregnancy')
    where alert.audience in (select unnest(?)) and state = 'open'
    order by
        list_position(['urgent', 'review', 'notice'], alert.severity), occurred_on desc nulls first, alert.rule,
        alert_id
"""
