"""The files of one publication: two databases and Parquet, copied out of the build database, with who sees what.

Only the content of one folder lives here; whether it may be written and when it becomes current is publish.py's.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

SCHEMAS = ("marts", "alerts", "ledger")
WAREHOUSE = "warehouse.duckdb"
RESTRICTED = "restricted/restricted.duckdb"

# Medical physics sees every table whole but these (output contract, "Who sees what"); restricted.duckdb has them all.
SEEN_BY_MEDICAL_PHYSICS = {
    "alerts.alert": "select * from {source} where audience <> 'restricted'",
    "marts.fct_operator_limit": """select * from {source} where "window" <> 'pregnancy'""",
    "marts.dim_operator": "select operator_id, specialty, grade, worker_category, works_from, works_to from {source}",
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


def rules_of(con: duckdb.DuckDBPyConnection, build: str) -> list[str]:
    """Names of the alert rules: every relation of the build's schema alerts but the findings themselves."""
    rows = con.execute(
        "select table_name from information_schema.tables"
        " where table_catalog = ? and table_schema = 'alerts' and table_name <> 'alert' order by 1",
        [build],
    ).fetchall()
    return [name for (name,) in rows]


def write_snapshot(
    con: duckdb.DuckDBPyConnection, folder: Path, run_id: str, sources: list[Source], rules: list[str]
) -> None:
    """Writes warehouse.duckdb, restricted/restricted.duckdb and parquet/ into an empty folder that only we can read.

    Args:
        con: connection to which all sources are attached.
        folder: the publication's folder before it is public.
        run_id: goes into the metadata of each Parquet file.
        sources: the tables.
        rules: alert rules, each of which becomes a view over alerts.alert.

    Raises:
        duckdb.Error, OSError: disk full, no permission; the folder is then of no use.
    """
    (folder / RESTRICTED).parent.mkdir()
    with _attached(con, folder / RESTRICTED):
        for source in sources:
            _copy_table(con, source, f"select * from {source.relation}")
        _make_views(con, rules)
    with _attached(con, folder / WAREHOUSE):
        for source in sources:
            _copy_table(con, source, _seen(source))
        _make_views(con, rules)
        for source in sources:
            _write_parquet(con, source.name, folder, run_id)


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


@contextmanager
def _attached(con: duckdb.DuckDBPyConnection, file: Path) -> Iterator[None]:
    """A new database as ``out``, whole on the disk when the block ends."""
    con.execute(f"attach '{_quoted(file)}' as out (storage_version '{STORAGE_VERSION}')")
    con.execute("use out")  # views must not remember under which name they were made
    for schema in SCHEMAS:
        con.execute(f"create schema {schema}")
    yield
    con.execute("use memory")
    con.execute("detach out")


def _copy_table(con: duckdb.DuckDBPyConnection, source: Source, select: str) -> None:
    con.execute(f"create table {source.name} as {select}")
    _copy_comments(con, source)


def _copy_comments(con: duckdb.DuckDBPyConnection, source: Source) -> None:
    """Descriptions and units travel with the table, into the BI tool."""
    database, schema, table = source.relation.split(".")
    of_table = con.execute(
        "select comment from duckdb_tables() where (database_name, schema_name, table_name) = (?, ?, ?)"
        " and comment is not null",
        [database, schema, table],
    ).fetchall()
    of_columns = con.execute(
        "select column_name, comment from duckdb_columns()"
        " where (database_name, schema_name, table_name) = (?, ?, ?) and comment is not null"
        "   and column_name in (select column_name from duckdb_columns()"
        "       where database_name = 'out' and schema_name || '.' || table_name = ?)",
        [database, schema, table, source.name],
    ).fetchall()
    for (comment,) in of_table:
        con.execute(f"comment on table {source.name} is '{_quoted(comment)}'")
    for column, comment in of_columns:
        con.execute(f"""comment on column {source.name}."{column}" is '{_quoted(comment)}'""")


def _make_views(con: duckdb.DuckDBPyConnection, rules: list[str]) -> None:
    for rule in rules:
        con.execute(f"create view alerts.{rule} as select * from alerts.alert where rule = '{rule}'")


def _write_parquet(con: duckdb.DuckDBPyConnection, name: str, folder: Path, run_id: str) -> None:
    schema, table = name.split(".")
    file = folder / "parquet" / schema / f"{table}.parquet"
    file.parent.mkdir(parents=True, exist_ok=True)
    con.execute(
        f"copy {name} to '{_quoted(file)}' (format parquet, compression zstd, kv_metadata {{run_id: '{run_id}'}})"
    )


def _quoted(text: object) -> str:
    return str(text).replace("'", "''")
