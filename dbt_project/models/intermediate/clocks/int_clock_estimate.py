"""Offset between dosimeter and modality clock for each room and day with procedures, estimated and carried.

A Python model, because the estimator is one pure function (ingest/clocks.py) that SQL feeds: so it stays inside the one
dbt build, with its lineage and tests, and no table leaves the database. Nothing is estimated here.
"""

from datetime import date
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from ingest.clocks import FARTHEST_S, ClockDecision, OffsetEstimate, carry, first_accepted

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
    beams, samples = dbt.ref("int_clock_beam"), dbt.ref("int_clock_sample")
    rooms = sorted(room for (room,) in beams.project("room_id").distinct().fetchall())
    rows = [row for room in rooms for row in room_rows(room, _of_room(beams, room), _of_room(samples, room))]
    return pa.Table.from_pylist(rows, SCHEMA)


def room_rows(room: str, beams: dict[str, Any], samples: dict[str, Any]) -> list[dict[str, Any]]:
    """Every day of one room; both signals in order of time, seconds since 1970 UTC."""
    days: list[tuple[date, OffsetEstimate | None]] = []
    for day in np.unique(beams["procedure_date"]):
        on = beams["procedure_date"] == day
        days.append((day.astype("datetime64[D]").item(), _estimate(beams, on, samples)))
    return [_row(room, estimate, decision) for (_, estimate), decision in zip(days, carry(days), strict=True)]


def _estimate(beams: dict[str, Any], on: Any, samples: dict[str, Any]) -> OffsetEstimate | None:  # noqa: ANN401
    beam_on = np.column_stack((beams["started_s"][on], beams["ended_s"][on]))
    first, last = np.searchsorted(
        samples["started_s"], (beam_on[:, 0].min() - FARTHEST_S, beam_on[:, 1].max() + FARTHEST_S)
    )
    if first == last:
        return None
    near = {name: values[first:last] for name, values in samples.items()}
    signal = np.column_stack((near["started_s"], near["dose_usv"]))
    reference = near["is_reference_badge"].astype(bool)
    return first_accepted(beam_on, [signal[reference], signal], float(near["sample_s"].max()))


def _row(room: str, estimate: OffsetEstimate | None, decision: ClockDecision) -> dict[str, Any]:
    evidence = (
        {}
        if estimate is None
        else {
            "n_events": estimate.n_events,
            "correlation": estimate.correlation,
            # No rival at all is no number.
            "peak_ratio": estimate.peak_ratio if np.isfinite(estimate.peak_ratio) else None,
        }
    )
    return {
        "room_id": room,
        "offset_date": decision.day,
        "offset_method": decision.method,
        "offset_s": decision.offset_s,
        "uncertainty_s": decision.uncertainty_s,
        "is_own": decision.is_accepted,
        "step_s": decision.step_s,
        "is_step": decision.is_step,
        "last_accepted_date": decision.last_accepted,
        **evidence,
    }


def _of_room(signal: duckdb.DuckDBPyRelation, room: str) -> dict[str, Any]:
    """Columns of one room in order of time, without its name: millions of equal texts cost more than the estimate."""
    is_room = duckdb.ColumnExpression("room_id") == duckdb.ConstantExpression(room)
    return signal.filter(is_room).project("* exclude (room_id)").order("started_s").fetchnumpy()
