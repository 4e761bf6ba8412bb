"""What is in a table that was just built: how many rows, a small summary, and the rows that a test found.

Only queries are here; how the Dagster UI shows their results is in ui_metadata.py. No result names a person, and of
the restricted audience there is not even a number.
"""

from __future__ import annotations

import re
from decimal import Decimal

import duckdb

from expectations.contract import TABLES
from expectations.gate import SAMPLES

FINDINGS = "alerts.alert"
NOT_RESTRICTED = f"not ({TABLES[FINDINGS].restricted})"

# Columns that name a row, also as dbt's own tests call them; any other date may be a date of birth.
NAMING = re.compile(
    r"(_id|_key|_uid|_seq|_serial|_columns|^line|^table_name|^(from|unique)_field|^n_\w+)$"
    r"|^(measured|offset|procedure|study)_date$"
)

# Table -> the first questions of a data engineer. Each query reads its own table only: others may not be built yet.
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
                sum(linked_event_usv + linked_window_usv + linked_session_usv + linked_vendor_usv + linked_manual_usv),
                1
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

Row = dict[str, str | int | float | bool | None]
Contents = dict[str, int | str | list[Row]]  # by the name that the UI gives the answer; JSON values


def contents_of(con: duckdb.DuckDBPyConnection, name: str) -> Contents:
    """Rows and summary of a table or view that was just built.

    Args:
        con: a connection to the build database.
        name: ``schema.table``.
    """
    rows: Contents = {"dagster/row_count": row_count(con, name)}
    return rows | {"summary": _rows(con, SUMMARIES[name])} if name in SUMMARIES else rows


def row_count(con: duckdb.DuckDBPyConnection, name: str) -> int:
    """Rows of a table; those of the restricted audience are not counted."""
    (count,) = con.execute(f"select count(*) from {name} where not ({_restricted(name)})").fetchone() or (0,)
    return int(count)


def failing_rows(con: duckdb.DuckDBPyConnection, test: str, name: str) -> Contents:
    """Rows that a dbt test found, by their keys: other columns may hold values that not every reader may see.

    Args:
        con: a connection to the build database.
        test: the test's compiled SQL.
        name: ``schema.table`` that it is about.
    """
    if _restricted(name) != "false":
        return {"failing_rows": "not named: they may be for the restricted audience"}
    columns = [column[0] for column in con.execute(f"select * from ({test}) limit 0").description]
    naming = ", ".join(f'"{column}"' for column in columns if NAMING.search(column))
    if not naming:
        return {"failing_rows": "no keys"}
    return {"failing_rows": _rows(con, f"select distinct {naming} from ({test}) order by all limit {SAMPLES}")}


def _restricted(name: str) -> str:
    """Predicate of a table's rows for the restricted audience; findings are the same rows wherever they are."""
    if name.startswith(("alerts.", "intermediate.finding_")):
        return TABLES[FINDINGS].restricted
    return TABLES[name].restricted if name in TABLES else "false"


def _rows(con: duckdb.DuckDBPyConnection, query: str) -> list[Row]:
    answer = con.execute(query)
    names = [column[0] for column in answer.description]
    return [dict(zip(names, map(_plain, row), strict=True)) for row in answer.fetchall()]


def _plain(value: object) -> str | int | float | bool | None:
    """A JSON value; other types become text."""
    if value is None or isinstance(value, bool | int | float):
        return value
    return float(value) if isinstance(value, Decimal) else str(value)
