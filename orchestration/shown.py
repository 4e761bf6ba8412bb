"""What the Dagster UI shows of a table besides its description: columns of raw tables, rows, a small summary.

Only asking and describing live here. Nobody appears by name, and a row of the restricted audience not even as a number.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import dagster as dg
import duckdb

from expectations.contract import TABLES
from expectations.gate import SAMPLES
from ingest import reference
from ingest.build_db import raw_ddl

FINDINGS = "alerts.alert"
NOT_RESTRICTED = f"not ({TABLES[FINDINGS].restricted})"

# A line of the raw tables' DDL: name, type, comment.
COLUMN_DDL = re.compile(r"^ {4}(\w+) (\w+(?:\[\]|\([\d, ]+\))?)[^-]*?(?:-- (.+))?$")

# Columns that name a row, also as dbt's own tests call them; any other date may be somebody's birth.
NAMING = re.compile(
    r"(_id|_key|_uid|_seq|_serial|_columns|^line|^table_name|^(from|unique)_field|^n_\w+)$"
    r"|^(measured|offset|procedure|study)_date$"
)

# Table -> what a data engineer would ask of it first. Each asks its own table only: others may not be built yet.
SUMMARIES: dict[str, str] = {
    "marts.fct_procedure": """
        select
            room_id, count(*) as procedures, max(procedure_date) as last_day,
            round(median(kap_gy_cm2), 2) as median_kap_gy_cm2, count(*) filter (kap_gy_cm2 is null) as without_kap,
            round(median(c_arm_dose_usv), 1) as median_c_arm_dose_usv
        from marts.fct_procedure
        group by room_id
        order by room_id
    """,
    "marts.fct_operator_procedure": """
        select
            badge_status, link_method, link_confidence, count(*) as rows_of_it, round(sum(hp10_usv), 1) as hp10_usv
        from marts.fct_operator_procedure
        group by all
        order by rows_of_it desc
    """,
    "marts.fct_reference_level": """
        select quantity, status, count(*) as typical_values
        from marts.fct_reference_level
        group by all
        order by all
    """,
    "ledger.dose_balance": """
        select
            measured_date, round(sum(ingested_usv), 1) as ingested_usv,
            round(
                sum(linked_event_usv + linked_window_usv + linked_session_usv + linked_vendor_usv), 1
            ) as linked_usv,
            round(sum(apportioned_usv), 1) as apportioned_usv, round(sum(unlinked_usv), 1) as unlinked_usv,
            round(sum(covered_by_samples_usv), 1) as covered_by_samples_usv,
            sum(imbalance_usv) as imbalance_usv
        from ledger.dose_balance
        where quantity = 'hp10'
        group by measured_date
        order by measured_date desc
        limit 14
    """,
    "ledger.unlinked_dose": """
        select reason, count(*) as records, round(sum(hp10_usv), 1) as hp10_usv
        from ledger.unlinked_dose
        group by reason
        order by records desc
    """,
    "ledger.file": """
        select
            kind, status, count(*) as files, sum(rows_loaded) as rows_loaded, sum(rows_rejected) as rows_rejected
        from ledger.file
        group by kind, status
        order by kind, files desc
    """,
    "ledger.clock_offset": """
        select
            room_id, count(*) as days, count(*) filter (method = 'cross_correlation') as days_estimated,
            count(*) filter (method = 'none') as days_unknown, max(offset_date) as last_day,
            round(max_by(offset_s, offset_date), 1) as last_offset_s, max_by(method, offset_date) as last_method
        from ledger.clock_offset
        group by room_id
        order by room_id
    """,
    FINDINGS: f"""
        select
            rule, count(*) filter (severity = 'urgent') as urgent, count(*) filter (severity = 'review') as review,
            count(*) filter (severity = 'notice') as notice, count(*) filter (state = 'open') as still_open,
            max(occurred_on) as last_day
        from alerts.alert
        where {NOT_RESTRICTED}
        group by rule
        order by count(*) desc, rule
    """,
}


def shown_of(con: duckdb.DuckDBPyConnection, name: str) -> dict[str, Any]:
    """Metadata of a table or view that was just built.

    Args:
        con: a connection to the build database.
        name: ``schema.table``.
    """
    metadata: dict[str, Any] = {"dagster/row_count": row_count(con, name)}
    if name in SUMMARIES:
        metadata["summary"] = table_of(con, SUMMARIES[name])
    return metadata


def row_count(con: duckdb.DuckDBPyConnection, name: str) -> int:
    """Rows of a table; those of the restricted audience are not counted."""
    (count,) = con.execute(f"select count(*) from {name} where not ({_restricted(name)})").fetchone() or (0,)
    return int(count)


def failing_rows(con: duckdb.DuckDBPyConnection, test: str, name: str) -> dg.TableMetadataValue | str:
    """Rows that a dbt test found, by what names them: other columns may say what is not for every reader.

    Args:
        con: a connection to the build database.
        test: the test's compiled SQL.
        name: ``schema.table`` that it is about.
    """
    if _restricted(name) != "false":
        return "not named: they may be for the restricted audience"
    columns = [column[0] for column in con.execute(f"select * from ({test}) limit 0").description]
    naming = ", ".join(f'"{column}"' for column in columns if NAMING.search(column))
    return (
        table_of(con, f"select distinct {naming} from ({test}) order by all limit {SAMPLES}") if naming else "no keys"
    )


def _restricted(name: str) -> str:
    """Predicate of a table's rows for the restricted audience; findings are the same rows wherever they are."""
    if name.startswith(("alerts.", "intermediate.alert_")):
        return TABLES[FINDINGS].restricted
    return TABLES[name].restricted if name in TABLES else "false"


def table_of(con: duckdb.DuckDBPyConnection, query: str) -> dg.TableMetadataValue | str:
    """The answer as a table; what JSON does not know is text, an empty answer says so."""
    answer = con.execute(query)
    names = [column[0] for column in answer.description]
    records = [dg.TableRecord(dict(zip(names, map(_plain, row), strict=True))) for row in answer.fetchall()]
    return dg.MetadataValue.table(records) if records else "no rows"


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


def _plain(value: object) -> str | int | float | bool | None:
    if value is None or isinstance(value, bool | int | float):
        return value
    return float(value) if isinstance(value, Decimal) else str(value)
