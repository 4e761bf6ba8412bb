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
        dose_window: as in marts.fct_operator_limit.
        dose_msv: with badge results below detection as 0.
        high_msv: the same with them as the limit of detection; None where that is not stated.
        fraction: share of the limit that was received; None where no dose is known.
        projected_fraction: the same at the end of the calendar year, if the year goes on so.
        is_estimate: badges over the apron stand for the body or the lens.
        covered_days: days of the window with a result, the last of them ``covered_to``.
        is_begin_unknown: the limit is for an entire pregnancy, of which only the declaration is known.
        other_window: the other window of the same limit, where it has two.
    """

    quantity: str
    dose_window: str
    limit_rule: str
    window_begin: date
    window_end: date
    dose_msv: float | None
    high_msv: float | None
    limit_msv: float
    fraction: float | None
    projected_fraction: float | None
    is_estimate: bool | None = None
    covered_days: int | None = None
    covered_to: date | None = None
    is_begin_unknown: bool | None = None
    status: str | None = None
    citation: str | None = None
    other_window: str | None = None
    other_fraction: float | None = None


@dataclass(frozen=True, slots=True)
class UnconfirmedLimit:
    """A limit in use that no medical physicist has confirmed and whose source was not read, in mSv."""

    quantity: str
    limit_msv: float
    citation: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One open row of alerts.alert, with the procedure type of its procedure.

    Attributes:
        step: the fixed step reached and what tells findings of one rule apart, as one code.
        detail: what the finding is about beside its other columns: source, badge, device, class; joined by ``/``.
        days: days over which the rule sums, where it does.
        decided_by: which of ``third_quartile``, ``floor`` and, where the rule has one, the cap is the threshold.
        usual: what is usual, where the rule states it.
        role_group: with which a finding is compared, where it is.
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
    usual: float | None = None
    role_group: str | None = None
    limit: LimitShare | None = None


def read_findings(connection: duckdb.DuckDBPyConnection, audiences: Collection[str]) -> tuple[Finding, ...]:
    """Read the open findings of some audiences, the gravest first, then the latest.

    Args:
        connection: to a published database; medical physics' own has no restricted ones.
        audiences: of ``operator``, ``medical_physics`` and ``restricted``.
    """
    rows = connection.execute(_FINDINGS, [list(audiences)]).fetchall()
    return tuple(_finding(row) for row in rows)


def read_unconfirmed_limits(
    connection: duckdb.DuckDBPyConnection, operator_id: str | None = None
) -> tuple[UnconfirmedLimit, ...]:
    """Read the limits in use that are not confirmed, of one operator or of all."""
    return tuple(UnconfirmedLimit(*row) for row in connection.execute(_UNCONFIRMED, [operator_id]).fetchall())


def _finding(row: tuple[Any, ...]) -> Finding:
    """The finding of a row of the query below: its own columns, then those of the limit, NULL where there is none."""
    limit_at = len(fields(Finding)) - 1
    limit = LimitShare(*row[limit_at:]) if row[limit_at] else None
    return Finding(*row[:limit_at], limit)  # type: ignore[call-arg]  # mypy counts a sliced tuple as endless


# The columns of a limit, in the order of LimitShare; "other" is the other window of a limit of a year.
LIMIT_COLUMNS = """
    shares.quantity, shares.dose_window, shares.limit_rule, shares.window_begin, shares.window_end,
    shares.warning_dose_msv, shares.dose_high_msv, shares.limit_msv, shares.warning_fraction,
    shares.projected_fraction, shares.is_estimate, shares.covered_days, shares.covered_to_date,
    shares.is_begin_unknown, shares.limit_status, shares.limit_citation,
    other.dose_window, other.warning_fraction
"""
OTHER_WINDOW = """
    left join marts.fct_operator_limit as other
        on other.operator_id = shares.operator_id
        and other.quantity = shares.quantity
        and other.limit_rule = shares.limit_rule
        and other.dose_window <> shares.dose_window
        and other.dose_window in ('calendar_year', 'rolling_12_months')
"""

_FINDINGS = f"""
    select
        alert_id, alert.rule, alert.severity, alert.audience, alert.operator_id, procedure_id, procedure_type,
        coalesce(alert.room_id, fct_procedure.room_id), occurred_on,
        alert.quantity, value, threshold, alert.unit, n_reference, message, advice_code, alert.step, alert.detail,
        summed.threshold_value, third_quartile, floor, decided_by, usual, alert.role_group,
        {LIMIT_COLUMNS}
    from alerts.alert
    left join marts.fct_procedure using (procedure_id)
    left join marts.dim_alert_threshold as summed on summed.rule = alert.rule and summed.name = 'sum_days'
    left join marts.fct_operator_limit as shares
        on shares.operator_id = alert.operator_id
        and shares.limit_rule = alert.limit_rule
        and shares.dose_window = alert.dose_window
        and (shares.quantity = alert.quantity or alert.dose_window = 'pregnancy')
    {OTHER_WINDOW}
    where alert.audience in (select unnest(?)) and state = 'open'
    order by
        list_position(['urgent', 'review', 'notice'], alert.severity), occurred_on desc nulls first, alert.rule,
        alert_id
"""

# The windows of one limit share a name; the calendar year's source comes first.
_UNCONFIRMED = """
    select quantity, limit_msv, arg_min(limit_citation, dose_window)
    from marts.fct_operator_limit
    where limit_status = 'must_confirm' and dose_window <> 'pregnancy' and coalesce(operator_id = ?, true)
    group by quantity, limit_rule, limit_msv
    order by
        list_position(['effective', 'effective_dose_equivalent', 'lens', 'extremity', 'uterus'], quantity), limit_msv
"""
