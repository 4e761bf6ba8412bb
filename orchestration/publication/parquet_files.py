"""Parquet files whose fields carry their comments: DuckDB's own COPY writes no metadata of a field, Arrow does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

ROW_GROUP = 122_880  # rows; DuckDB's own size


def write_parquet(
    con: duckdb.DuckDBPyConnection,
    select: str,
    file: Path,
    metadata: Mapping[str, str],
    comments: Mapping[str, str],
) -> None:
    """Write the rows of a query, in groups of rows, so that a table of any length needs the same memory.

    Args:
        con: where the query runs.
        select: the query.
        file: the Parquet file; its folder is made.
        metadata: of the whole file.
        comments: column -> what it means; ends as ``comment`` in the metadata of the field.

    Raises:
        duckdb.Error, OSError: the query fails, or the disk is full.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    rows = con.execute(select).to_arrow_reader(ROW_GROUP)
    schema = pa.schema(
        [_described(column, comments.get(column.name)) for column in rows.schema], metadata=dict(metadata)
    )
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for batch in rows:
            writer.write_batch(batch.cast(schema), row_group_size=ROW_GROUP)


def _described(field: pa.Field, comment: str | None) -> pa.Field:
    return field.with_metadata({"comment": comment}) if comment else field
