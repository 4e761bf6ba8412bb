"""Quantiles of Student's t distribution for the degrees of freedom of this build's intervals.

A Python model, because the database has no such function. The confidence is a row of the seed comparison_thresholds.
"""

from typing import Any

import pyarrow as pa
from scipy.special import stdtrit

SCHEMA = pa.schema({"degrees_of_freedom": pa.float64(), "t_quantile": pa.float64()})


def model(dbt: Any, session: Any) -> pa.Table:  # noqa: ANN401, ARG001 - dbt's own signature
    """One row per number of degrees of freedom."""
    dbt.config(materialized="table")
    confidence = dbt.ref("comparison_thresholds").filter("name = 'confidence'").fetchone()[1]
    intervals = (dbt.ref("int_operator_protection"), dbt.ref("int_room_month"), dbt.ref("int_class_quarter"))
    needed = {
        degrees
        for interval in intervals
        for (degrees,) in interval.filter("degrees_of_freedom > 0").unique("degrees_of_freedom").fetchall()
    }
    rows = [
        {"degrees_of_freedom": degrees, "t_quantile": float(stdtrit(degrees, (1 + confidence) / 2))}
        for degrees in sorted(needed)
    ]
    return pa.Table.from_pylist(rows, SCHEMA)
