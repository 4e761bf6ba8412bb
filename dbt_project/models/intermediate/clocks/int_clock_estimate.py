"""Offset that holds for each room and day with procedures: the day's own estimate, the last accepted one, or none.

A Python model, because carrying is a pure function (ingest/clock_offsets.py). What the signals of a day alone show
is decided in int_clock_match, and whether a declaration wins in int_clock_offset.
"""

from itertools import groupby
from typing import Any

import pyarrow as pa

from ingest.clock_offsets import ClockDecision, OffsetEstimate, carry

SCHEMA = pa.schema(
    {
        "room_id": pa.string(),
        "offset_date": pa.date32(),
        "offset_method": pa.string(),
        "offset_s": pa.float64(),
        "uncertainty_s": pa.float64(),
        "n_events": pa.int64(),
        "correlation": pa.float64(),
        "peak_ratio": pa.float64(),
        "is_own": pa.bool_(),
        "step_s": pa.float64(),
        "is_step": pa.bool_(),
        "last_accepted_date": pa.date32(),
    }
)


def model(dbt: Any, session: Any) -> pa.Table:  # noqa: ANN401, ARG001 - dbt's own signature
    """One row per room and local date with procedures."""
    dbt.config(materialized="table")
    matches = dbt.ref("int_clock_match").order("room_id, procedure_date").to_arrow_table().to_pylist()
    rows = [row for _, days in groupby(matches, lambda match: match["room_id"]) for row in _carried(list(days))]
    return pa.Table.from_pylist(rows, SCHEMA)


def _carried(matches: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every day of one room, in order."""
    decisions = carry([(match["procedure_date"], _estimate(match)) for match in matches])
    return [_row(match, decision) for match, decision in zip(matches, decisions, strict=True)]


def _estimate(match: dict[str, Any]) -> OffsetEstimate | None:
    if match["offset_s"] is None:
        return None
    return OffsetEstimate(**{name: match[name] for name in OffsetEstimate.__slots__})


def _row(match: dict[str, Any], decision: ClockDecision) -> dict[str, Any]:
    # No rival at all is no number.
    peak_ratio = match["peak_ratio"] if match["peak_ratio"] != float("inf") else None
    return {
        "room_id": match["room_id"],
        "offset_date": decision.day,
        "offset_method": decision.method,
        "offset_s": decision.offset_s,
        "uncertainty_s": decision.uncertainty_s,
        "n_events": match["n_events"],
        "correlation": match["correlation"],
        "peak_ratio": peak_ratio,
        "is_own": decision.is_accepted,
        "step_s": decision.step_s,
        "is_step": decision.is_step,
        "last_accepted_date": decision.last_accepted,
    }
