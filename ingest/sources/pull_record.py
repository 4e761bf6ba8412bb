"""What is remembered of the servers between nights: how far each was answered, what failed, what it named.

A small SQLite file beside the build database, for it is written before that is opened and must outlive it. The raw load
copies it (``copy_into``); marks are only here.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa

from ingest.folders import GROUP_PASSES, make_folder
from ingest.problems import UserError
from ingest.site.config import Site
from ingest.sources.source import Study

NO_UID = "(none)"  # of what a server names without a UID that could be sent back; no UID has parentheses
NIGHTS = 7  # what failed on so many nights is requested only by `doseledger pull --retry`
_TABLES = """
create table if not exists server (address text primary key, begins text not null, complete_until text);
create table if not exists pull (
    seq integer primary key, run_id text, server text, period_begin text, period_end text, studies integer,
    series integer, found integer, stored integer, known integer, failed integer, unanswered integer
);
create table if not exists study (
    seq integer primary key, server text, study_uid text, accession_number text, study_date text, modalities text,
    named_on text, unique (server, study_uid, accession_number, study_date, modalities)
);
create table if not exists failure (
    server text, study_date text, study_uid text, series_uid text, instance_uid text, accession_number text,
    nights integer, first_failed_on text, last_failed_on text, reason text,
    primary key (server, study_date, study_uid, series_uid, instance_uid)
);
create table if not exists no_report (server text, identity text, primary key (server, identity)) without rowid;
"""


@dataclass(frozen=True, slots=True)
class Item:
    """What is requested from a server: an object, all objects of a series, all series of a study. Empty: all of it.

    Attributes:
        study_date: as the server states it, else the day for which it named the study.
        study_uid: or `NO_UID`, like the others.
    """

    study_date: date
    study_uid: str
    series_uid: str = ""
    instance_uid: str = ""


@dataclass(frozen=True, slots=True)
class Counts:
    """One server's row of raw.pull, beside run and server."""

    period_begin: date
    period_end: date
    studies: int
    series: int
    found: int
    stored: int
    known: int
    failed: int
    unanswered: int


class PullRecord:
    """The record of one site's servers."""

    def __init__(self, con: sqlite3.Connection) -> None:
        self._con = con

    @classmethod
    @contextmanager
    def of(cls, site: Site) -> Iterator[PullRecord]:
        """The record of a site, made if absent.

        Raises:
            UserError: it cannot be read or written.
        """
        path = _path(site)
        try:
            make_folder(path.parent, GROUP_PASSES)
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            con = sqlite3.connect(path, isolation_level=None)
            try:
                con.executescript(_TABLES)
                yield cls(con)
            finally:
                con.close()
        except (OSError, sqlite3.Error) as error:
            if isinstance(error, OSError) and error.filename != str(path):
                raise
            raise UserError(
                f"The record of what was pulled, {path}, cannot be used ({error}). If the disk is full, make room; if "
                "the file is damaged, move it away: the look-back then begins again."
            ) from error

    @contextmanager
    def together(self) -> Iterator[None]:
        """What is noted within becomes durable as one, also if an exception ends it; not if the process is killed."""
        self._con.execute("begin")
        try:
            yield
        finally:
            self._con.execute("commit")

    def server(self, address: str, night: date) -> ServerRecord:
        """The record of one server in the run for a date."""
        return ServerRecord(self._con, address, night)

    def add(self, run_id: str, address: str, counts: Counts) -> None:
        """Note what a run did with a server."""
        values = [run_id, address, *map(_plain, astuple(counts))]
        self._con.execute(f"insert into pull values (null, {', '.join('?' * len(values))})", values)


class ServerRecord:
    """What is remembered of one server."""

    def __init__(self, con: sqlite3.Connection, address: str, night: date) -> None:
        self._con, self._address, self._night = con, address, night
        rows = con.execute(
            "select study_date, study_uid, series_uid, instance_uid, nights from failure where server = ?", [address]
        )
        self._nights: dict[Item, int] = {Item(date.fromisoformat(day), *uids): nights for day, *uids, nights in rows}

    def since(self, lookback_days: int) -> date:
        """The first day of the search: the look-back before the run's date, or before the last complete day."""
        usual = self._night - timedelta(days=lookback_days)
        self._con.execute("insert or ignore into server values (?, ?, null)", [self._address, usual.isoformat()])
        row = self._con.execute("select begins, complete_until from server where address = ?", [self._address])
        begins, complete_until = (day and date.fromisoformat(day) for day in row.fetchone())
        if complete_until is None:
            return min(usual, begins)
        return min(usual, max(begins, complete_until - timedelta(days=lookback_days)))

    def complete(self, day: date) -> None:
        """Move the mark: this day and all before it were answered completely."""
        self._con.execute(
            "update server set complete_until = max(coalesce(complete_until, ''), ?) where address = ?",
            [day.isoformat(), self._address],
        )

    def is_given_up(self, item: Item) -> bool:
        """Whether it failed on so many nights that it is no longer requested."""
        return item in self._nights and self._nights[item] >= NIGHTS

    def given_up(self) -> list[Item]:
        """All that is no longer requested."""
        return sorted(filter(self.is_given_up, self._nights), key=astuple)

    def failed(self, item: Item, accession_number: str, reason: str) -> None:
        """Note that it failed, at most once for each date of a run."""
        night = self._night.isoformat()
        self._con.execute(
            """
            insert into failure values (?, ?, ?, ?, ?, ?, 1, ?, ?, ?)
            on conflict do update set nights = nights + (last_failed_on != excluded.last_failed_on),
                last_failed_on = excluded.last_failed_on, reason = excluded.reason
            """,
            [self._address, *map(_plain, (*astuple(item), accession_number, night, night, reason))],
        )
        self._nights[item] = self._nights_of(item)

    def answered(self, item: Item) -> None:
        """Forget that it failed, if it did."""
        if self._nights.pop(item, None) is not None:
            self._con.execute(f"delete from failure where {_KEY}", [self._address, *map(_plain, astuple(item))])

    def name(self, study: Study, study_date: date, modalities: set[str]) -> None:
        """Note that the server named a study; nothing if it did so before in the same words."""
        self._con.execute(
            "insert or ignore into study values (null, ?, ?, ?, ?, ?, ?)",
            [
                self._address,
                study.study_uid,
                _plain(study.accession_number),
                study_date.isoformat(),
                _plain("\\".join(sorted(modalities))),
                self._night.isoformat(),
            ],
        )

    def is_no_report(self, identity: str) -> bool:
        """Whether an object was fetched before, and is something else than a dose report."""
        found = self._con.execute(
            "select 1 from no_report where server = ? and identity = ?", [self._address, identity]
        )
        return found.fetchone() is not None

    def add_no_report(self, identity: str) -> None:
        """Note that an object is something else than a dose report."""
        self._con.execute("insert or ignore into no_report values (?, ?)", [self._address, identity])

    def _nights_of(self, item: Item) -> int:
        row = self._con.execute(
            f"select nights from failure where {_KEY}", [self._address, *map(_plain, astuple(item))]
        ).fetchone()
        return int(row[0])


_KEY = "server = ? and study_date = ? and study_uid = ? and series_uid = ? and instance_uid = ?"


def copy_into(con: duckdb.DuckDBPyConnection, site: Site) -> None:
    """Take over into raw.pull, raw.pacs_study and raw.unanswered_object what is new in the record.

    Args:
        con: the build database.
        site: the site.
    """
    if not _path(site).exists():
        return
    with PullRecord.of(site) as record:
        tables = _raw_rows(record._con, *(_last(con, table) for table in ("pull", "pacs_study")))
    con.begin()
    try:
        con.execute("delete from raw.unanswered_object")
        for table, rows in tables.items():
            if rows:
                con.register("new_rows", pa.Table.from_pylist(rows))
                con.execute(f"insert into raw.{table} by name select * from new_rows")
                con.unregister("new_rows")
    except BaseException:
        con.rollback()
        raise
    con.commit()


def _raw_rows(con: sqlite3.Connection, last_pull: int, last_study: int) -> dict[str, list[dict[str, object]]]:
    con.row_factory = sqlite3.Row
    pulls = con.execute("select * from pull where seq > ? order by seq", [last_pull])
    studies = con.execute(
        "select seq, server, study_uid as study_instance_uid, nullif(accession_number, '') as accession_number,"
        " study_date, modalities, named_on from study where seq > ? order by seq",
        [last_study],
    )
    failures = con.execute(
        "select server, study_date, nullif(study_uid, :none) as study_instance_uid,"
        " nullif(nullif(series_uid, ''), :none) as series_instance_uid,"
        " nullif(nullif(instance_uid, ''), :none) as sop_instance_uid,"
        f" nullif(accession_number, '') as accession_number, nights, nights >= {NIGHTS} as is_given_up,"
        " first_failed_on, last_failed_on, reason from failure order by 1, 2, 3, 4, 5",
        {"none": NO_UID},
    )
    return {
        "pull": list(map(dict, pulls)),
        "pacs_study": [{**study, "modalities": study["modalities"].split("\\")} for study in map(dict, studies)],
        "unanswered_object": [{**row, "is_given_up": bool(row["is_given_up"])} for row in map(dict, failures)],
    }


def _last(con: duckdb.DuckDBPyConnection, table: str) -> int:
    row = con.execute(f"select coalesce(max(seq), 0) from raw.{table}").fetchone()
    assert row is not None  # noqa: S101 - an aggregate always has a row
    return int(row[0])


def _path(site: Site) -> Path:
    return site.data_dir / "pulled.sqlite"


def new_run_id() -> str:
    """Names one pull from all servers: the instant at which it began; there is no other run yet that could name it."""
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


def _plain(value: object) -> object:
    """As SQLite and UTF-8 can keep it: what a peer sends may hold half of a character."""
    if isinstance(value, date):
        return value.isoformat()
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
