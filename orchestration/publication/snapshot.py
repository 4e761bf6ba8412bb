"""The files of one publication: three databases and Parquet, copied out of the build database, with who sees what.

Only the content of one folder lives here; whether it may be written and when it becomes current is publish.py's.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb

from ingest.raw.sql_text import literal
from orchestration.publication.parquet_files import write_parquet

SCHEMAS = ("marts", "alerts", "ledger")
WAREHOUSE = "warehouse.duckdb"
RESTRICTED = "restricted/restricted.duckdb"
DEPARTMENT = "department/warehouse.duckdb"  # aggregates only
DEPARTMENT_SCHEMA = "department"

# Medical physics sees every table whole but these (output contract, "Who sees what"); restricted.duckdb has them all.
SEEN_BY_MEDICAL_PHYSICS = {
    "alerts.alert": "select * from {source} where audience <> 'restricted'",
    "marts.fct_operator_limit": "select * from {source} where dose_window <> 'pregnancy'",
    "marts.dim_operator": "select operator_id, specialty, grade, worker_category, works_from, works_to from {source}",
    "marts.fct_rule_outcome": "select * from {source} where audience <> 'restricted'",
    "ledger.alert_history": "select * from {source} where audience <> 'restricted'",
}

# The oldest storage of DuckDB 1.x: BI tools bring their own, older DuckDB.
STORAGE_VERSION = "v1.0.0"


@dataclass(frozen=True)
class Source:
    """Where a published table comes from.

    Attributes:
        name: ``schema.table`` in the publication.
        relation: what is read for it, as SQL names it.
    """

    name: str
    relation: str


@dataclass(frozen=True)
class Comments:
    """Descriptions and units of one relation; they travel with the table, into the BI tool."""

    of_table: str | None
    of_columns: Mapping[str, str]


def sources_of(con: duckdb.DuckDBPyConnection, build: str, own: Mapping[str, str]) -> list[Source]:
    """All tables to publish: those of the build, and the publication's own tables in place of any of that name.

    Args:
        con: connection to which the build database is attached.
        build: its name there.
        own: ``schema.table`` -> relation for the tables that the publication itself writes.
    """
    built = con.execute(
        "select schema_name || '.' || name from ("
        "   select database_name, schema_name, table_name as name from duckdb_tables()"
        "   union all select database_name, schema_name, view_name from duckdb_views() where schema_name <> 'alerts'"
        f") where database_name = ? and list_contains({list(SCHEMAS)}, schema_name) order by 1",
        [build],
    ).fetchall()
    tables = {name: f"{build}.{name}" for (name,) in built if not name.startswith("alerts.")}
    # In alerts only the findings are a table; everything else is a view over the findings that a reader may see.
    tables["alerts.alert"] = f"{build}.alerts.alert"
    return [Source(name, relation) for name, relation in sorted((tables | dict(own)).items())]


def aggregates_of(con: duckdb.DuckDBPyConnection, build: str) -> list[Source]:
    """What a head of department may see: the tables of the build's schema department."""
    rows = con.execute(
        "select table_name from duckdb_tables() where database_name = ? and schema_name = ? order by 1",
        [build, DEPARTMENT_SCHEMA],
    ).fetchall()
    return [Source(f"{DEPARTMENT_SCHEMA}.{name}", f"{build}.{DEPARTMENT_SCHEMA}.{name}") for (name,) in rows]


def rules_of(con: duckdb.DuckDBPyConnection, build: str) -> list[Source]:
    """The alert rules: every relation of the build's schema alerts but the findings themselves."""
    rows = con.execute(
        "select table_name from information_schema.tables"
        " where table_catalog = ? and table_schema = 'alerts' and table_name <> 'alert' order by 1",
        [build],
    ).fetchall()
    return [Source(f"alerts.{name}", f"{build}.alerts.{name}") for (name,) in rows]


def write_snapshot(
    con: duckdb.DuckDBPyConnection,
    folder: Path,
    run_id: str,
    sources: list[Source],
    aggregates: list[Source],
    rules: list[Source],
) -> None:
    """Writes the three databases and parquet/ into an empty folder that only we can read.

    Args:
        con: connection to which all sources are attached.
        folder: the publication's folder before it is public.
        run_id: goes into the metadata of each Parquet file.
        sources: the tables; ledger.publication is one of them.
        aggregates: the tables of the department's copy.
        rules: alert rules, each of which becomes a view over alerts.alert, and a Parquet file.

    Raises:
        duckdb.Error, OSError: disk full, no permission; the folder is then of no use.
    """
    comments = _comments(con)
    with _database(con, folder / WAREHOUSE, SCHEMAS):
        for source in sources:
            _copy_table(con, source, _seen(source), comments)
        _make_views(con, rules, comments)
    # From the build's tables: of what a transaction has written itself only one processor would read.
    for source in sources:
        _write_parquet(con, source.name, _seen(source), comments[source.relation], folder, run_id)
    (alerts,) = (source for source in sources if source.name == "alerts.alert")
    for rule in rules:
        found = f"select * from ({_seen(alerts)}) {_of_rule(rule)}"
        _write_parquet(con, rule.name, found, comments[rule.relation], folder, run_id)
    # What medical physics sees is nearly all: only the tables that it does not see whole are written again.
    (folder / RESTRICTED).parent.mkdir()
    shutil.copyfile(folder / WAREHOUSE, folder / RESTRICTED)
    with _database(con, folder / RESTRICTED):
        for source in sources:
            if source.name in SEEN_BY_MEDICAL_PHYSICS:
                con.execute(f"drop table {source.name}")
                _copy_table(con, source, f"select * from {source.relation}", comments)
    (ledger,) = (source for source in sources if source.name == "ledger.publication")
    with _database(con, folder / DEPARTMENT, [DEPARTMENT_SCHEMA]):
        for source in aggregates:
            _copy_table(con, source, f"select * from {source.relation}", comments)
        own = Source(f"{DEPARTMENT_SCHEMA}.publication", ledger.relation)
        which = replace(comments[ledger.relation], of_table="One row: the publication that these tables belong to.")
        _copy_table(con, own, _own_row(ledger, run_id), {own.relation: which})


def seen_rows(con: duckdb.DuckDBPyConnection, sources: list[Source]) -> dict[str, int]:
    """Number of rows of each table as medical physics sees it."""
    counts = {}
    for source in sources:
        (counts[source.name],) = con.execute(f"select count(*) from ({_seen(source)})").fetchone() or (0,)
    return counts


def make_durable(folder: Path) -> None:
    """Sets who may read, and waits until everything is on the disk: after this the folder may be renamed."""
    for path in sorted(folder.rglob("*"), reverse=True):
        is_restricted = "restricted" in path.relative_to(folder).parts
        if path.is_dir():
            path.chmod(0o700 if is_restricted else 0o750)
        else:
            path.chmod(0o600 if is_restricted else 0o640)
        sync(path)
    folder.chmod(0o750)
    sync(folder)


def sync(path: Path) -> None:
    """Waits until a file or folder is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _seen(source: Source) -> str:
    return SEEN_BY_MEDICAL_PHYSICS.get(source.name, "select * from {source}").format(source=source.relation)


def _own_row(ledger: Source, run_id: str) -> str:
    """Which publication this is: no history, and no counts of other tables."""
    return f"select run_id, published_at, as_of, product_version from {ledger.relation} where run_id = '{run_id}'"


@contextmanager
def _database(con: duckdb.DuckDBPyConnection, file: Path, new_schemas: Iterable[str] = ()) -> Iterator[None]:
    """A database as ``out``, whole on the disk when the block ends; one transaction, so one wait for the disk."""
    file.parent.mkdir(exist_ok=True)
    con.execute(f"attach {literal(file)} as out (storage_version '{STORAGE_VERSION}')")
    con.execute("use out")  # views must not remember under which name they were made
    con.execute("begin")
    for schema in new_schemas:
        con.execute(f"create schema {schema}")
    yield
    con.execute("commit")
    con.execute("use memory")
    con.execute("detach out")


def _copy_table(con: duckdb.DuckDBPyConnection, source: Source, select: str, comments: Mapping[str, Comments]) -> None:
    con.execute(f"create table {source.name} as {select}")
    _comment(con, "table", source.name, comments[source.relation])


def _make_views(con: duckdb.DuckDBPyConnection, rules: list[Source], comments: Mapping[str, Comments]) -> None:
    for rule in rules:
        con.execute(f"create view {rule.name} as select * from alerts.alert {_of_rule(rule)}")
        _comment(con, "view", rule.name, comments[rule.relation])


def _of_rule(rule: Source) -> str:
    return f"where rule = {literal(rule.name.removeprefix('alerts.'))}"


def _comment(con: duckdb.DuckDBPyConnection, kind: str, name: str, comments: Comments) -> None:
    if comments.of_table:
        con.execute(f"comment on {kind} {name} is {literal(comments.of_table)}")
    for (column,) in con.execute(f"select column_name from (describe {name})").fetchall():
        if comment := comments.of_columns.get(column):
            con.execute(f'comment on column {name}."{column}" is {literal(comment)}')


def _comments(con: duckdb.DuckDBPyConnection) -> dict[str, Comments]:
    """Comments of every attached relation by its full name; read once, because each reading looks at every column."""
    relations = con.execute(
        "select concat_ws('.', database_name, schema_name, table_name), comment from duckdb_tables()"
        " union all"
        " select concat_ws('.', database_name, schema_name, view_name), comment from duckdb_views()"
    ).fetchall()
    columns = con.execute(
        "select concat_ws('.', database_name, schema_name, table_name), map_from_entries(list((column_name, comment)))"
        " from duckdb_columns() where comment is not null group by 1"
    ).fetchall()
    of_columns = dict(columns)
    return {name: Comments(comment, of_columns.get(name, {})) for name, comment in relations}


def _write_parquet(
    con: duckdb.DuckDBPyConnection, name: str, select: str, comments: Comments, folder: Path, run_id: str
) -> None:
    schema, table = name.split(".")
    file = folder / "parquet" / schema / f"{table}.parquet"
    about = {"run_id": run_id} | ({"comment": comments.of_table} if comments.of_table else {})
    write_parquet(con, select, file, about, comments.of_columns)
