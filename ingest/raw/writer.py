"""Writing rows into the raw tables: of each file all rows or none, many small files in one transaction.

What the rows are is decided by their callers (``stores.py``, ``loader.py``, ``reference_load.py``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from itertools import chain, repeat
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple, Protocol, TypeAlias

import duckdb
import pyarrow as pa

from ingest.raw.build_db import raw_ddl
from ingest.raw.file_ledger import NO_BYTES

Connection: TypeAlias = duckdb.DuckDBPyConnection
Records: TypeAlias = Sequence[object] | pa.Table
# Rows come from one reader, in parts and in order: a second thread doubles what DuckDB spends on inserting them, and
# its usual checkpoint at every 16 MB writes the same columns again and again.
LOAD_SETTINGS = {"threads": "1", "checkpoint_threshold": "64MB"}


class RowSink(Protocol):
    """Takes the rows that a file adds to the raw tables."""

    def append(self, table: str, records: Records, **constants: object) -> None:
        """Add rows to a raw table.

        Args:
            table: its name without the schema.
            records: one object a row with an attribute for each column, or a table of the columns that differ.
            constants: columns that are the same in all these rows.

        Raises:
            pyarrow.ArrowInvalid, OverflowError: a number has no room in its column.
        """
        ...


@contextmanager
def transaction(con: Connection) -> Iterator[None]:
    """All that is written within, or nothing of it."""
    con.begin()
    try:
        yield
    except BaseException:
        con.rollback()
        raise
    con.commit()


@contextmanager
def load_settings(con: Connection) -> Iterator[None]:
    """The settings under which rows are written fastest."""
    for name, value in LOAD_SETTINGS.items():
        con.execute(f"set {name} = '{value}'")
    try:
        yield
    finally:
        for name in LOAD_SETTINGS:
            con.execute(f"reset {name}")


@cache
def _schemas() -> dict[str, pa.Schema]:
    """Columns of the raw tables as Arrow has them; the DDL is the only place where they are listed."""
    with duckdb.connect() as con:
        con.execute("set timezone = 'UTC'")
        con.execute(raw_ddl())
        names = con.execute("select table_name from duckdb_tables() where schema_name = 'raw'").fetchall()
        schemas = {name: con.execute(f"from raw.{name} limit 0").to_arrow_table().schema for (name,) in names}
    return {name: pa.schema([(f.name, _storage_type(f.type)) for f in schema]) for name, schema in schemas.items()}


def _storage_type(arrow_type: pa.DataType) -> pa.DataType:
    """The type itself, or what JSON text is stored as."""
    return getattr(arrow_type, "storage_type", arrow_type)


# Rows of the ledger may be there already: a second try of a file, a newer look at a path. All others are only added.
_WRITING = {
    "file": (
        """
        insert into raw.file from new_rows
        on conflict (load_seq) do update set path = excluded.path, shown_path = excluded.shown_path,
            status = excluded.status, reason = excluded.reason,
            rows_loaded = excluded.rows_loaded, rows_rejected = excluded.rows_rejected,
            duplicate_of = excluded.duplicate_of, description_sha256 = excluded.description_sha256,
            meaning_sha256 = excluded.meaning_sha256
        """,
        # Of a second try only what it states itself; its statement is written after its row.
        "delete from raw.file_statement where load_seq in (select load_seq from new_rows)",
    ),
    "archived_export": ("insert or replace into raw.archived_export from new_rows",),
    "file_stat": (
        "insert or replace into raw.file_stat from new_rows",
        # What is looked at has bytes: a row that told of none is wrong.
        f"delete from raw.file where sha256 = '{NO_BYTES}' and path_key in (select path_key from new_rows)",
    ),
}


def insert(con: Connection, table: str, rows: pa.Table) -> None:
    """Write rows that have all columns of their raw table."""
    if table not in _WRITING:
        # Not "insert ... from new_rows": that keeps a file's rows in memory until its transaction ends.
        con.from_arrow(rows).insert_into(f"raw.{table}")
        return
    con.register("new_rows", rows)
    for statement in _WRITING[table]:
        con.execute(statement)
    con.unregister("new_rows")


class _Part(NamedTuple):
    """Records of one file for one table, and the columns that are the same in all their rows."""

    records: Records
    constants: Mapping[str, object]


def _rows(table: str, parts: Sequence[_Part]) -> pa.Table:
    """Rows of a raw table.

    Raises:
        pyarrow.ArrowInvalid, OverflowError: a number has no room in its column.
    """
    if isinstance(parts[0].records, pa.Table):
        return pa.concat_tables([_completed(table, part) for part in parts])
    return _of_records(table, parts)


def _of_records(
    table: str, parts: Sequence[_Part], value: Callable[[str], Callable[[Any], object]] = attrgetter
) -> pa.Table:
    """Rows of which each column holds the constant of its name, else what the record has under it."""
    schema = _schemas()[table]
    arrays = []
    for column in schema:
        own = value(column.name)
        cells = [
            repeat(constants[column.name], len(records)) if column.name in constants else map(own, records)
            for records, constants in parts
        ]
        arrays.append(pa.array(list(chain.from_iterable(cells)), column.type))
    return pa.Table.from_arrays(arrays, schema=schema)


def _completed(table: str, part: _Part) -> pa.Table:
    """Rows of which a reader made the columns that are not the same for a whole file."""
    rows, constants = part
    schema = _schemas()[table]
    columns = [
        pa.repeat(pa.scalar(constants[column.name], column.type), len(rows))
        if column.name in constants
        else rows[column.name]
        for column in schema
    ]
    return pa.table(columns, schema=schema)


def rows_of_mappings(table: str, rows: Sequence[Mapping[str, object]]) -> pa.Table:
    """Rows of a raw table out of mappings from column to value."""
    return _of_records(table, [_Part(rows, {})], itemgetter)


@dataclass(frozen=True, slots=True)
class DirectRows:
    """A RowSink that writes at once; the caller holds the transaction."""

    con: Connection

    def append(self, table: str, records: Records, **constants: object) -> None:
        """Write the rows; see ``RowSink``."""
        if len(records):
            insert(self.con, table, _rows(table, [_Part(records, constants)]))


@dataclass(slots=True)
class _Pending:
    """Rows of whole files that are not written yet."""

    parts: defaultdict[str, list[_Part]] = field(default_factory=lambda: defaultdict(list))
    rows: int = 0

    def add(self, table: str, part: _Part) -> None:
        """Keep rows of one table."""
        if len(part.records):
            self.parts[table].append(part)
            self.rows += len(part.records)

    def take(self, other: _Pending) -> None:
        """Keep the rows of another one, too."""
        for table, parts in other.parts.items():
            self.parts[table] += parts
        self.rows += other.rows

    def write(self, con: Connection) -> None:
        """Write the rows and keep them no longer."""
        for table, parts in self.parts.items():
            insert(con, table, _rows(table, parts))
        self.parts.clear()
        self.rows = 0


@dataclass(slots=True)
class RowWriter:
    """Writes the rows of whole files: many small files together, a large one while it is read.

    A commit costs more than reading a report, and rows that come by the ten thousand are compressed again and again.
    But an export may be larger than memory. What a dose report states is bounded when it is read, so that every
    number has room in its column.

    Attributes:
        con: the build database.
        most_rows: so many rows are kept; a file that alone has more is written in a transaction of its own.
    """

    con: Connection
    most_rows: int
    _pending: _Pending = field(default_factory=_Pending)

    @contextmanager
    def file(self) -> Iterator[FileRows]:
        """Takes the rows of a file; an exception leaves nothing of it."""
        with ExitStack() as own_transaction:
            rows = FileRows(self, own_transaction)
            yield rows
        self._pending.take(rows.pending)
        if self._pending.rows >= self.most_rows:
            self.flush()

    def flush(self) -> None:
        """Write the rows that are kept."""
        with transaction(self.con):
            self._pending.write(self.con)


@dataclass(slots=True)
class FileRows:
    """A RowSink for one file: its rows wait until the file is whole, or are written in a transaction of its own."""

    _writer: RowWriter
    _own_transaction: ExitStack
    pending: _Pending = field(default_factory=_Pending)
    _is_large: bool = False

    def append(self, table: str, records: Records, **constants: object) -> None:
        """Keep or write the rows; see ``RowSink``."""
        self.pending.add(table, _Part(records, constants))
        if self.pending.rows > self._writer.most_rows and not self._is_large:
            self._writer.flush()
            self._own_transaction.enter_context(transaction(self._writer.con))
            self._is_large = True
        if self._is_large:
            self.pending.write(self._writer.con)
