"""Offset between dosimeter and modality clock, estimated from the signals of one room and day, accepted or not.

A Python model, because the estimator is one pure function (ingest/clock_offsets.py): it is part of the one dbt build,
with its lineage and tests, and no table leaves the database. Only stale days are estimated; the other rows are copied.
"""

from dataclasses import asdict
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from ingest.clock_offsets import FARTHEST_S, OffsetEstimate, first_accepted

SCHEMA = pa.schema(
    {
        "room_id": pa.string(),
        "procedure_date": pa.date32(),
        "offset_s": pa.float64(),
        "uncertainty_s": pa.float64(),
        "n_events": pa.int64(),
        "n_matched": pa.int64(),
        "correlation": pa.float64(),
        "peak_ratio": pa.float64(),
        "is_accepted": pa.bool_(),
        "reason": pa.string(),
    }
)


def model(dbt: Any, session: Any) -> pa.Table:  # noqa: ANN401 - dbt's own signature
    """One row per room and local date with procedures; NULL where there is nothing to compare."""
    dbt.config(materialized="table")
    days, samples = dbt.ref("int_clock_day"), dbt.ref("int_clock_sample")
    beams = dbt.ref("int_clock_beam").join(days.filter("is_stale").project("procedure_date"), "procedure_date")
    rooms = sorted(room for (room,) in beams.project("room_id").distinct().fetchall())
    rows = [row for room in rooms for row in room_rows(room, _of_room(beams, room), _of_room(samples, room))]
    estimated = pa.Table.from_pylist(rows, SCHEMA)
    unchanged = _unchanged(session, str(dbt.this), days)
    return pa.concat_tables([unchanged, estimated]) if unchanged else estimated


def room_rows(room: str, beams: dict[str, Any], samples: dict[str, Any]) -> list[dict[str, Any]]:
    """One row per day of one room that has beams; both signals in order of time, seconds since 1970 UTC."""
    rows = []
    for day in np.unique(beams["procedure_date"]):
        estimate = _estimate(beams, beams["procedure_date"] == day, samples)
        name = {"room_id": room, "procedure_date": day.astype("datetime64[D]").item()}
        rows.append(name | (asdict(estimate) if estimate else {}))
    return rows


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


def _unchanged(session: Any, this: str, days: duckdb.DuckDBPyRelation) -> pa.Table | None:  # noqa: ANN401
    """The rows of days that are not stale; None before the first build."""
    schema, table = this.replace('"', "").split(".")[-2:]
    table_exists = "select 1 from duckdb_tables() where schema_name = ? and table_name = ?"
    if not session.execute(table_exists, [schema, table]).fetchone():
        return None
    other_days = days.filter("not is_stale").project("procedure_date")
    columns = ", ".join(SCHEMA.names)
    return session.sql(f"from {this}").join(other_days, "procedure_date").project(columns).to_arrow_table().cast(SCHEMA)


def _of_room(signal: duckdb.DuckDBPyRelation, room: str) -> dict[str, Any]:
    """Columns of one room in order of time, without its name: copying equal texts is slower than the estimate."""
    is_room = duckdb.ColumnExpression("room_id") == duckdb.ConstantExpression(room)
    columns = [name for name in signal.columns if name != "room_id"]
    # Ordered by all columns, because sums of floating-point numbers depend on the order.
    return signal.filter(is_room).project(", ".join(columns)).order(", ".join(["started_s", *columns])).fetchnumpy()
