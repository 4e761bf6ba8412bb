"""What the Dagster UI shows of a table besides its description: columns of raw tables, results of built_tables.py.

Only conversion to Dagster's types is here; no query.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from ingest.raw.build_db import raw_ddl
from ingest.site import reference
from orchestration.built_tables import Contents, Row

# A line of the raw tables' DDL: name, type, comment.
COLUMN_DDL = re.compile(r"^ {4}(\w+) (\w+(?:\[\]|\([\d, ]+\))?)[^-]*?(?:-- (.+))?$")


def shown(contents: Contents) -> dict[str, Any]:
    """Metadata of a table or a test: rows as a table."""
    return {name: _table(answer) if isinstance(answer, list) else answer for name, answer in contents.items()}


def raw_columns(manifest: Mapping[str, Any]) -> dict[dg.AssetKey, dg.TableSchema]:
    """Columns of the raw tables, as ``table.column``, for the asset that dbt's source description puts them to."""
    columns = {f"ref_{table.name}": _reference_columns(table) for table in reference.TABLES}
    for line in raw_ddl().splitlines():
        if begin := re.match(r"create table if not exists raw\.(\w+)", line):
            table = begin[1]
            columns.setdefault(table, [])
        elif column := COLUMN_DDL.match(line):
            columns[table].append(dg.TableColumn(f"{table}.{column[1]}", column[2], column[3]))
    of_asset: dict[dg.AssetKey, list[dg.TableColumn]] = defaultdict(list)
    for source in manifest["sources"].values():
        of_asset[dg.AssetKey(source["meta"]["dagster"]["asset_key"])] += columns[source["name"]]
    return {key: dg.TableSchema(columns=found) for key, found in of_asset.items()}


def _reference_columns(table: reference.Table) -> list[dg.TableColumn]:
    name = f"ref_{table.name}"
    return [
        *(
            dg.TableColumn(f"{name}.{column.raw_name}", column.type, "never published" if column.is_private else None)
            for column in table.raw_columns
        ),
        dg.TableColumn(f"{name}.line", "bigint", "line of the CSV"),
        dg.TableColumn(f"{name}.extra", "json", "the site's own columns"),
    ]


def _table(rows: Sequence[Row]) -> dg.TableMetadataValue | str:
    return dg.MetadataValue.table([dg.TableRecord(row) for row in rows]) if rows else "no rows"
