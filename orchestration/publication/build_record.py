"""Records of builds: ops.build (by dbt), ops.verdict (by the gate), ops.build_input, ops.code, ops.run.

This module reads and writes these rows; callers decide what follows from them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date

import duckdb

from expectations.suites import SUITES
from orchestration.product import product_fingerprint

BUILD_INPUT_DDL = """
create schema if not exists ops;
create table if not exists ops.build_input (
    build_id varchar primary key,
    input_fingerprint varchar not null
)
"""
# All schemas but raw (what was read) and ops (builds and verdicts).
SCHEMAS_OF_DBT = ("seeds", "staging", "intermediate", "marts", "ledger", "department", "alerts")
# The version of product and DuckDB that built the incremental tables: macros/incremental_by_date.sql.
CODE_DDL = "create schema if not exists ops; create table if not exists ops.code (fingerprint varchar not null)"


@dataclass(frozen=True)
class Build:
    """The last build, complete or not.

    Attributes:
        as_of: valid-time date that it was built for (site-local).
        input_fingerprint: its inputs (`inputs_of_build`); None if dbt was started by hand.
        checks_passed: number of checks of the gate that passed.
        blocked_by: why it must not be published, one sentence each; empty = it may.
    """

    build_id: str
    as_of: date
    input_fingerprint: str | None
    checks_passed: int
    blocked_by: list[str]


def last_build(con: duckdb.DuckDBPyConnection, database: str) -> Build | None:
    """Read the last build of an attached build database; None if there is none.

    Args:
        con: a connection.
        database: the name under which the build database is attached to it.
    """
    if not _has_table(con, database, "build"):
        return None
    row = con.execute(
        "select build_id, as_of, finished_at is not null, is_complete, succeeded, coalesce(failures, '')"
        f" from {database}.ops.build order by build_no desc limit 1"
    ).fetchone()
    if row is None:
        return None
    build_id, as_of, has_finished, is_complete, succeeded, failures = row
    blocked_by = []
    if not has_finished:
        blocked_by.append("the last build of the tables was interrupted")
    elif not succeeded:
        blocked_by.append(f"the last build of the tables failed: {failures}")
    elif not is_complete:
        blocked_by.append("the last build built only some of the tables")
    checks_passed, verdict_blocks = _verdict(con, database, build_id)
    return Build(
        build_id,
        as_of,
        _input_fingerprint(con, database, build_id),
        checks_passed,
        blocked_by or verdict_blocks,
    )


def set_run(con: duckdb.DuckDBPyConnection, as_of: date, *, may_become_current: bool) -> None:
    """Set what the next build is for: dbt reads it (macros/run.sql).

    Args:
        con: a connection to the build database.
        as_of: valid-time date, site-local.
        may_become_current: False for a date before the current publication's.
    """
    con.execute("create schema if not exists ops")
    con.execute(
        "create or replace table ops.run as select ?::date as as_of, ? as may_become_current",
        [as_of, may_become_current],
    )


def record_input(con: duckdb.DuckDBPyConnection, build_id: str, input_fingerprint: str) -> None:
    """Record the inputs of a build, so that a publication without news is recognised."""
    con.execute(BUILD_INPUT_DDL)
    con.execute("insert or replace into ops.build_input values (?, ?)", [build_id, input_fingerprint])


def drop_built_tables(con: duckdb.DuckDBPyConnection) -> None:
    """Drop every table of dbt and the record of its date partitions: the next build builds all from raw."""
    con.execute("begin")
    for schema in SCHEMAS_OF_DBT:
        con.execute(f"drop schema if exists {schema} cascade")
    con.execute("drop table if exists ops.date_partition")
    con.execute("commit")


def forget_dates(con: duckdb.DuckDBPyConnection, first: date, last: date) -> int:
    """Make the chosen dates stale, so that the next build rebuilds them in every incremental table.

    Args:
        con: a connection to the build database.
        first: local date at the site.
        last: local date, included.

    Returns:
        The number of dates of tables that are rebuilt.
    """
    if not con.execute(
        "select 1 from duckdb_tables() where schema_name = 'ops' and table_name = 'date_partition'"
    ).fetchall():
        return 0  # no build yet: the next one builds all dates
    # A fingerprint that no date has: the rows stay until the next build replaces them in one transaction.
    changed = con.execute(
        "update ops.date_partition set fingerprint = -1 where partition_date between ? and ? returning partition_date",
        [first, last],
    )
    return len(changed.fetchall())


def drop_tables_of_other_code(con: duckdb.DuckDBPyConnection) -> None:
    """Drop all tables of dbt unless this version of product and DuckDB built them, and their records are complete."""
    code = f"{product_fingerprint()}+duckdb {duckdb.__version__}"  # hash() may differ between versions of DuckDB
    con.execute(CODE_DDL)
    recorded = con.execute(
        "select 1 from duckdb_tables() where schema_name = 'ops' and table_name in ('build', 'date_partition')"
    )
    if len(recorded.fetchall()) < 2 or con.execute("select fingerprint from ops.code").fetchall() != [(code,)]:
        drop_built_tables(con)
        con.execute("begin; delete from ops.code")
        con.execute("insert into ops.code values (?)", [code])
        con.execute("commit")


def inputs_of_build(input_fingerprint: str) -> str:
    """Fingerprint of everything that was read, and of the product itself."""
    return f"{input_fingerprint}+{product_fingerprint()}"


def _verdict(con: duckdb.DuckDBPyConnection, database: str, build_id: str) -> tuple[int, list[str]]:
    """Number of checks that passed, and why this build is blocked: a suite without a verdict blocks too."""
    rows = []
    if _has_table(con, database, "verdict") and _has_table(con, database, "check_result"):
        rows = con.execute(
            "select suite, passed, checks_run - checks_failed, failures::varchar"
            f" from {database}.ops.verdict where build_id = ?",
            [build_id],
        ).fetchall()
    unjudged = [suite for suite in SUITES if suite not in {row[0] for row in rows}]
    blocked_by = [f"the gate has not judged this build: no verdict of {', '.join(unjudged)}"] if unjudged else []
    for suite, passed, _, failures in rows:
        if not passed:
            blocked_by += [
                f"{suite}: {failure['sentence']}" for failure in json.loads(failures) if failure["severity"] == "block"
            ]
    return sum(row[2] for row in rows), blocked_by


def _input_fingerprint(con: duckdb.DuckDBPyConnection, database: str, build_id: str) -> str | None:
    if not _has_table(con, database, "build_input"):
        return None
    row = con.execute(
        f"select input_fingerprint from {database}.ops.build_input where build_id = ?", [build_id]
    ).fetchone()
    return None if row is None else str(row[0])


def _has_table(con: duckdb.DuckDBPyConnection, database: str, table: str) -> bool:
    return bool(
        con.execute(
            "select 1 from duckdb_tables() where database_name = ? and schema_name = 'ops' and table_name = ?",
            [database, table],
        ).fetchone()
    )
