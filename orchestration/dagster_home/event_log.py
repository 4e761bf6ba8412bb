"""Dagster's own SQLite event log with connections that stay open; what it stores, and where, is Dagster's business.

Dagster opens and closes the file for each of a night's thousand statements, forgets the compiled SQL each time, and
looks again and again whether a table is there: a third of the night went there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._serdes import ConfigurableClassData
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.event import listen

KEPT_OPEN = 8  # the index, the run that is written, and some that a person looks at: each run has a file of its own


class OpenEventLogStorage(SqliteEventLogStorage):
    """Connections to the files of the log that were used last stay open; what is there is looked for once."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engines: dict[str, Engine] = {}  # before the parent connects
        self._there: set[tuple[str, str]] = set()
        super().__init__(base_dir, inst_data)

    @staticmethod
    def from_config_value(
        inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> OpenEventLogStorage:
        """As dagster.yaml says."""
        return OpenEventLogStorage(inst_data=inst_data, **config_value)

    def dispose(self) -> None:
        """Closes the files."""
        for engine in self._engines.values():
            engine.dispose()
        super().dispose()

    def has_table(self, table_name: str) -> bool:
        """As the parent says; Dagster never takes a table away."""
        return self._is_there(super().has_table, table_name)

    def has_secondary_index(self, name: str) -> bool:
        """As the parent says; Dagster never takes an index away."""
        return self._is_there(super().has_secondary_index, name)

    def _is_there(self, look: Callable[[str], bool], name: str) -> bool:
        if (look.__name__, name) not in self._there and look(name):
            self._there.add((look.__name__, name))
        return (look.__name__, name) in self._there

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        with self._db_lock:
            engine = self._engines.pop(shard, None) or self._open(shard)
            self._engines[shard] = engine  # the last one used is the last one in the dictionary
            while len(self._engines) > KEPT_OPEN:
                self._engines.pop(next(iter(self._engines))).dispose()
            with engine.begin() as connection:
                yield connection

    def _open(self, shard: str) -> Engine:
        engine = create_engine(self.conn_string_for_shard(shard), connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS})
        listen(engine, "connect", _write_without_waiting)
        self._initdb(engine)
        return engine


def _write_without_waiting(connection: Any, _: object) -> None:  # noqa: ANN401 - as the driver has it
    """Not for the disk at each of a night's thousand commits: a power failure may cost the last events, no file."""
    connection.execute("pragma synchronous = normal")
