"""Open the build database and exclude a second run: who may write to it, and to which site it belongs.

Raw tables are written by ``ingest/raw/loader.py``, all others by dbt.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import duckdb
from filelock import FileLock, Timeout

from ingest.folders import OWNER_ONLY, make_folder
from ingest.problems import UserError
from ingest.pseudonymise import Key, WrongKey
from ingest.raw.sql_text import literal
from ingest.site.config import Site
from ingest.site.reference import reference_ddl

SCHEMA_VERSION = 3
# Only this product reads the file, so older DuckDBs need not: the newest way of storing takes text at half the cost.
STORAGE_VERSION = "latest"
LOCK_PATIENCE_S = 0.5  # the inbox sensor takes the lock for a moment to see whether it is free
PATIENCE_S = 3.0  # the inbox sensor and 'status' look into the database for a moment


class BuildUnavailable(UserError):
    """The build database cannot be used now, or not for this site."""


class AlreadyRunning(UserError):
    """Another run of this site is going on."""


def raw_ddl() -> str:
    """SQL that makes every raw table that is not there yet."""
    return Path(__file__).with_name("schema.sql").read_text("utf-8") + reference_ddl()


@contextmanager
def run_lock(site: Site) -> Iterator[None]:
    """Keep every other process from running this site; entering again in the same process is allowed.

    Raises:
        AlreadyRunning: another process runs the site.
        BuildUnavailable: the lock file cannot be made.
    """
    path = _build_folder(site) / "run.lock"
    lock = FileLock(path, timeout=LOCK_PATIENCE_S, is_singleton=True, thread_local=False)
    try:
        lock.acquire()
    except Timeout:
        raise AlreadyRunning(
            f"Another run of site '{site.config.site_id}' is going on; wait for its end (its lock: {path})."
        ) from None
    except OSError as error:
        raise BuildUnavailable(f"The lock file {path} cannot be made ({error.strerror}).") from None
    try:
        yield
    finally:
        lock.release()


def is_running(site: Site) -> bool:
    """Whether another process runs this site now."""
    try:
        with run_lock(site):
            return False
    except AlreadyRunning:
        return True


@contextmanager
def open_build(site: Site, key: Key) -> Iterator[duckdb.DuckDBPyConnection]:
    """The build database of a site, made if absent, with all raw tables; closed at the end.

    Raises:
        BuildUnavailable: it cannot be written, is in use, is damaged, or belongs to another site or version.
        WrongKey: its patients were keyed with another key.
    """
    _build_folder(site)
    with _connected(site.build_db, read_only=False) as con:
        site.build_db.chmod(0o600)
        con.execute("begin")
        con.execute(raw_ddl())
        con.execute(
            "insert into raw.warehouse select ?, ?, ?, ? where not exists (from raw.warehouse)",
            [SCHEMA_VERSION, site.config.site_id, key.key_id, datetime.now(UTC)],
        )
        con.execute("commit")
        _check_owner(con, site, key)
        yield con


@contextmanager
def read_build(site: Site, key: Key) -> Iterator[duckdb.DuckDBPyConnection]:
    """The existing build database, to read only.

    Raises:
        BuildUnavailable, WrongKey: as ``open_build``.
    """
    with _connected(site.build_db, read_only=True) as con:
        _check_owner(con, site, key)
        yield con


@contextmanager
def read_any_build(site: Site) -> Iterator[duckdb.DuckDBPyConnection]:
    """The existing build database of a site, to read only, and only what needs no key.

    Raises:
        BuildUnavailable: it cannot be read, or has another schema.
    """
    with _connected(site.build_db, read_only=True) as con:
        version = con.execute("select schema_version from raw.warehouse").fetchall()
        if version != [(SCHEMA_VERSION,)]:
            raise BuildUnavailable(
                f"The build database {site.build_db} has another schema version than {SCHEMA_VERSION}."
            )
        yield con


@contextmanager
def _connected(path: Path, *, read_only: bool) -> Iterator[duckdb.DuckDBPyConnection]:
    con = _connect(path, read_only=read_only)
    try:
        con.execute("set timezone = 'UTC'")
        yield con
    finally:
        con.close()  # what was begun and not committed is rolled back


def _connect(path: Path, *, read_only: bool) -> duckdb.DuckDBPyConnection:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            if not read_only and not path.exists():
                _make(path)
            return duckdb.connect(path, read_only=read_only)
        except duckdb.Error as error:
            is_locked = "lock" in str(error)
            if is_locked and time.monotonic() < deadline:
                time.sleep(0.1)
                continue
            what = "is in use by another process; wait until that ends" if is_locked else _first_sentence(error)
            raise BuildUnavailable(f"The build database {path} {what}.") from None


def _make(path: Path) -> None:
    """An empty database. Attached, because a storage version asked for in connecting would be every connection's."""
    with duckdb.connect() as con:
        con.execute(f"attach {literal(path)} as made (storage_version '{STORAGE_VERSION}')")


def _first_sentence(error: duckdb.Error) -> str:
    return f"cannot be opened ({str(error).splitlines()[0]}); if it is damaged, move it away and run again"


def _build_folder(site: Site) -> Path:
    folder = site.build_db.parent
    try:
        make_folder(folder, OWNER_ONLY)
    except OSError as error:
        raise BuildUnavailable(
            f"The folder {folder} cannot be made ({error.strerror}); correct data_dir in site.yaml or its rights."
        ) from None
    return folder


def _check_owner(con: duckdb.DuckDBPyConnection, site: Site, key: Key) -> None:
    row = con.execute("select schema_version, site_id, key_id from raw.warehouse").fetchone()
    version, site_id, key_id = row if row else (SCHEMA_VERSION, site.config.site_id, key.key_id)
    if site_id != site.config.site_id:
        raise BuildUnavailable(
            f"The build database {site.build_db} belongs to site '{site_id}', and site.yaml says "
            f"'{site.config.site_id}'; give each site its own data_dir."
        )
    if version != SCHEMA_VERSION:
        raise BuildUnavailable(
            f"The build database {site.build_db} has schema version {version}, and this program needs "
            f"{SCHEMA_VERSION}; move the folder {site.build_db.parent} away and run again: every file is read again."
        )
    if key_id != key.key_id:
        raise WrongKey(
            f"The warehouse of site '{site_id}' was made with the pseudonymisation key {key_id}, and this run has "
            f"{key.key_id}; give the former key (DOSELEDGER_KEY or DOSELEDGER_KEY_FILE)."
        )
