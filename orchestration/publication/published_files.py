"""Opening a published database to read, also while another program holds it open for writing."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb


@contextmanager
def open_published(file: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A published database, read-only.

    Raises:
        duckdb.Error: it is missing or no database.
        OSError: its copy, where one is needed, cannot be written.
    """
    with readable(file) as path, duckdb.connect(path, read_only=True) as con:
        yield con


@contextmanager
def readable(file: Path) -> Iterator[Path]:
    """The file itself, or a copy of it where another program holds DuckDB's lock on it.

    A published file is never changed, so that a copy is as good. The lock binds programs that open databases, not those
    that read bytes; the copy is for this account only and is removed at the end.
    """
    try:
        duckdb.connect(file, read_only=True).close()
    except duckdb.IOException as error:
        if "lock" not in str(error):
            raise
    else:
        yield file
        return
    with tempfile.TemporaryDirectory(prefix="doseledger-") as folder:
        yield Path(shutil.copyfile(file, Path(folder) / file.name))
