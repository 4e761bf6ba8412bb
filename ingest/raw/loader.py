"""Loading: what is new in the site goes into the raw tables, a file's rows and its ledger row in one transaction.

Only reading in order and writing whole live here. What is new is found in ``file_ledger.py``, files are read by
``ingest/dose_reports`` and ``ingest/dosimeters``; versions, repeats and links are decided later, in dbt.
"""

from __future__ import annotations

import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cache
from itertools import chain, repeat
from operator import attrgetter, itemgetter
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, TypeAlias

import duckdb
import pyarrow as pa

from ingest.dose_reports import scrub
from ingest.dosimeters.description import SourceDescription
from ingest.dosimeters.reader import read_export
from ingest.dosimeters.rows import Batch
from ingest.problems import Problem
from ingest.pseudonymise import Key
from ingest.raw.archive import Archive, kept_of_path, tidy
from ingest.raw.build_db import raw_ddl
from ingest.raw.file_ledger import (
    NO_BYTES,
    FoundFile,
    Ledger,
    Original,
    find_dose_reports,
    find_dosimeter_exports,
    known_inputs,
    known_recent_files,
    meanings_of,
    reader_of,
    readers_of,
    recent_files,
)
from ingest.raw.ignored_files import fits
from ingest.raw.published_path import shown_path
from ingest.raw.read_ahead import OpenedFile, ignored, is_unchanged, open_exports, open_reports
from ingest.records import FileKind, Patient, Refused, Stated
from ingest.site.config import Site
from ingest.site.reference import PRIVATE_COLUMNS, TABLES
from ingest.site.reference_reader import badge_overlaps

LOOK_AGAIN_S = 1.0  # what is young and cannot be read is looked at a second time, this long after the first
YOUNG_S = 10.0
UNFINISHED_S = 600.0  # a name that copying programs give to a part of a file is believed for this long
UNFINISHED_NAME = re.compile(
    r"\.(part|partial|filepart|crdownload|download|tmp|temp|!sync)$|^\..+\.\w{6}$", re.IGNORECASE
)
Connection = duckdb.DuckDBPyConnection
Progress = Callable[[int, int, str], None]
Within = Callable[[str, int, int], None]
MB = 1_000_000
# Rows that are written at once: of dose reports they are made one by one, of exports they are columns already.
TOGETHER: dict[FileKind, int] = {"dose_report": 10_000, "dosimeter": 250_000}
Append = Callable[..., None]  # table, records, constants
LARGE_BYTES = 50 * MB  # an export of which people want to see how far its reading is
# Rows come from one reader, in parts and in order: a second thread doubles what DuckDB spends on inserting them, and
# its usual checkpoint at every 16 MB writes the same columns again and again.
LOAD_SETTINGS = {"threads": "1", "checkpoint_threshold": "64MB"}


@dataclass(slots=True)
class Summary:
    """What one loading step did.

    Attributes:
        kind: dose reports or dosimeter exports.
        seen: things that lie where such files are expected.
        statuses: files by the status that this step gave them; empty if nothing was new.
        rows_loaded, rows_rejected: of this step; for dose reports rows are irradiation events.
        waiting: files that changed while they were read; the next run reads them.
    """

    kind: FileKind
    seen: int
    statuses: Counter[str] = field(default_factory=Counter)
    rows_loaded: int = 0
    rows_rejected: int = 0
    waiting: list[str] = field(default_factory=list)

    def count(self, outcome: Outcome) -> None:
        """Add one file."""
        self.statuses[outcome.status] += 1
        self.rows_loaded += outcome.rows_loaded
        self.rows_rejected += outcome.rows_rejected


class StillWrittenError(Exception):
    """The file changed while it was read."""


# --- writing -------------------------------------------------------------------------------------------------------


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


def _insert(con: Connection, table: str, rows: pa.Table) -> None:
    if table not in _WRITING:
        # Not "insert ... from new_rows": that keeps a file's rows in memory until its transaction ends.
        con.from_arrow(rows).insert_into(f"raw.{table}")
        return
    con.register("new_rows", rows)
    for statement in _WRITING[table]:
        con.execute(statement)
    con.unregister("new_rows")


Records: TypeAlias = Sequence[object] | pa.Table


class _Said(NamedTuple):
    """Records of one file, or a table of them, and what all their rows have in common."""

    records: Records
    constants: Mapping[str, object]


def _rows(table: str, all_said: Sequence[_Said]) -> pa.Table:
    """Rows of a raw table.

    Raises:
        pyarrow.ArrowInvalid, OverflowError: a number has no room in its column.
    """
    if isinstance(all_said[0].records, pa.Table):
        return pa.concat_tables([_completed(table, said) for said in all_said])
    return _of_records(table, all_said)


def _of_records(
    table: str, all_said: Sequence[_Said], value: Callable[[str], Callable[[Any], object]] = attrgetter
) -> pa.Table:
    """Rows of which each column holds the constant of its name, else what the record has under it."""
    schema = _schemas()[table]
    arrays = []
    for column in schema:
        own = value(column.name)
        cells = [
            repeat(constants[column.name], len(records)) if column.name in constants else map(own, records)
            for records, constants in all_said
        ]
        arrays.append(pa.array(list(chain.from_iterable(cells)), column.type))
    return pa.Table.from_arrays(arrays, schema=schema)


def _completed(table: str, said: _Said) -> pa.Table:
    """Rows of which a reader made the columns that are not the same for a whole file."""
    rows, constants = said
    schema = _schemas()[table]
    columns = [
        pa.repeat(pa.scalar(constants[column.name], column.type), len(rows))
        if column.name in constants
        else rows[column.name]
        for column in schema
    ]
    return pa.table(columns, schema=schema)


def write(con: Connection, table: str, records: Records, **constants: object) -> None:
    """Write records, or a table of them, with what all their rows have in common, at once."""
    if len(records):
        _insert(con, table, _rows(table, [_Said(records, constants)]))


@dataclass(slots=True)
class _Kept:
    """What files say and is not written yet."""

    said: defaultdict[str, list[_Said]] = field(default_factory=lambda: defaultdict(list))
    rows: int = 0

    def add(self, table: str, said: _Said) -> None:
        """Keep what belongs into one table."""
        if len(said.records):
            self.said[table].append(said)
            self.rows += len(said.records)

    def take(self, other: _Kept) -> None:
        """Keep what another one kept."""
        for table, all_said in other.said.items():
            self.said[table] += all_said
        self.rows += other.rows

    def write(self, con: Connection) -> None:
        """Write it and keep it no longer."""
        for table, all_said in self.said.items():
            _insert(con, table, _rows(table, all_said))
        self.said.clear()
        self.rows = 0


@dataclass(slots=True)
class _Writer:
    """Writes what files say, whole files only: many small ones together, a large one while it is read.

    A commit costs more than reading a report, and what comes by the ten thousand rows is compressed again and again.
    But an export may be larger than memory. What a dose report says is bounded when it is read, so that every number
    has room in its column.

    Attributes:
        con: the build database.
        most_rows: so many are kept; a file that alone has more is written in a transaction of its own.
    """

    con: Connection
    most_rows: int
    kept: _Kept = field(default_factory=_Kept)

    @contextmanager
    def file(self) -> Iterator[Append]:
        """Takes the rows of a file; an exception leaves nothing of it."""
        own, is_large = _Kept(), False
        with ExitStack() as own_transaction:

            def append(table: str, records: Records, **constants: object) -> None:
                nonlocal is_large
                own.add(table, _Said(records, constants))
                if own.rows > self.most_rows and not is_large:
                    self.flush()
                    own_transaction.enter_context(transaction(self.con))
                    is_large = True
                if is_large:
                    own.write(self.con)

            yield append
        self.kept.take(own)
        if self.kept.rows >= self.most_rows:
            self.flush()

    def flush(self) -> None:
        """Writes what was kept."""
        with transaction(self.con):
            self.kept.write(self.con)


# --- one file ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file; ``patient`` is for freeing its path and is not stored.

    ``statement`` is of an export and has rows of its own.

    Attributes:
        is_readable: whether it is a dose report or an export that could be read, whatever became of it.
    """

    status: str
    reason: str | None = None
    rows_loaded: int = 0
    rows_rejected: int = 0
    duplicate_of: int | None = None
    patient: Patient | None = None
    statement: tuple[Stated, ...] = ()
    is_readable: bool = True


class _Store(Protocol):
    """Reads one file of a kind and appends what it says; raises Refused."""

    def __call__(self, opened: OpenedFile, load_seq: int, original: Original | None, append: Append) -> Outcome: ...


def _dose_report_store(site: Site, key: Key) -> _Store:
    def store(opened: OpenedFile, load_seq: int, original: Original | None, append: Append) -> Outcome:
        report = opened.report
        assert report is not None  # noqa: S101 - as open_reports gives it
        if isinstance(report, Refused):
            raise report
        if original is not None:
            return _duplicate(original, report.patient)
        patient = report.patient
        keys = key.patient_keys(patient.issuer, patient.patient_id, site.config.patient_id_placeholders)
        append("dose_report", [report], load_seq=load_seq, **keys._asdict())
        append("dose_total", report.totals, load_seq=load_seq)
        append("irradiation_event", report.events, load_seq=load_seq)
        append("finding", report.findings, load_seq=load_seq, path=own_path(opened.file.name, patient))
        return Outcome("loaded", rows_loaded=len(report.events), patient=patient)

    return store


def _export_reader(site: Site, ledger: Ledger) -> Callable[[OpenedFile], Iterator[Batch]]:
    def read(opened: OpenedFile) -> Iterator[Batch]:
        file = opened.file
        if file.ignored_by is not None:
            return
        batches = read_export(file.place, source_of(file.source_id, file.place.name, site))
        # Once there is an original, nothing new can come of reading on.
        while (opened.sha256, file.source_id) not in ledger.originals and (batch := next(batches, None)):
            yield batch

    return read


def _export_store(con: Connection, site: Site, key: Key, within: Within | None) -> _Store:
    archive = Archive(site.archive_dir)

    def store(opened: OpenedFile, load_seq: int, original: Original | None, append: Append) -> Outcome:
        file = opened.file
        if original is not None:
            return _duplicate(original, is_readable=file.source_id in site.sources)
        source = source_of(file.source_id, file.place.name, site)
        outcome = store_export(told(opened), source, load_seq, own_path(file.name, None), append)
        former = kept_of_path(con, key.path_key(file.name))
        append("archived_export", archive.keep(file.place, opened.sha256, source, former))
        return outcome

    def told(opened: OpenedFile) -> Iterator[Batch]:
        for batch in opened.batches:
            yield batch
            if within and opened.file.size_bytes > LARGE_BYTES:
                within(opened.file.place.name, batch.bytes_read // MB, opened.file.size_bytes // MB)

    return store


def store_export(
    batches: Iterable[Batch], source: SourceDescription, load_seq: int, path: str, append: Append
) -> Outcome:
    """Append what an export states.

    Raises:
        Refused: as the batches are read.
    """
    rows = rejected = 0
    statement: tuple[Stated, ...] = ()
    for batch in batches:
        append("dose_record", batch.rows, load_seq=load_seq, source_id=source.source_id, layout=source.layout)
        append("rejected_row", batch.rejected, load_seq=load_seq)
        append("rejected_dose", batch.rejected_doses, load_seq=load_seq)
        append("finding", batch.findings, load_seq=load_seq, path=path)
        statement = batch.statement
        rows += len(batch.rows)
        rejected += len(batch.rejected)
    return Outcome("loaded", rows_loaded=rows, rows_rejected=rejected, statement=statement)


def source_of(source_id: str | None, name: str, site: Site) -> SourceDescription:
    """How an export in the folder of ``source_id`` (None: in no source's folder) with that file name is read.

    Raises:
        Refused: nothing says how.
    """
    if source_id is None:
        raise Refused("quarantined", "lies in no source's folder; move it to inbox/dosimeters/<source_id>/")
    source = site.sources.get(source_id)
    if source is None:
        raise Refused(
            "quarantined", "no file in sources/ describes the folder in which it lies; add one"
        )  # not its name
    if not fits(name, source.file_pattern):
        raise Refused(
            "quarantined", f"its name does not fit file_pattern '{source.file_pattern}' of sources/{source_id}.yaml"
        )
    return source


def _duplicate(original: Original, patient: Patient | None = None, *, is_readable: bool = True) -> Outcome:
    load_seq, path = original
    reason = f"has the same bytes as {path}"
    return Outcome("duplicate", reason, duplicate_of=load_seq, patient=patient, is_readable=is_readable)


def own_path(name: bytes, patient: Patient | None) -> str:
    """A path as it is stored and printed: freed of the patient, and of characters that are not text."""
    text = name.decode("utf-8", "backslashreplace")
    printable = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)
    return scrub(printable, patient) if patient else printable


# --- a folder of files ---------------------------------------------------------------------------------------------


def load_dose_reports(con: Connection, site: Site, key: Key, progress: Progress | None = None) -> Summary:
    """Load what is new among the dose reports of the inbox and the received ones.

    A report that was refused is tried again, in its old place of the load sequence, by every other version of the
    reader.

    Args:
        con: the build database, from ``open_build``.
        site: the site.
        key: its pseudonymisation key.
        progress: called after each file that was looked into, with files done, files to do and the file's path.
    """
    found, store = find_dose_reports(site), _dose_report_store(site, key)

    def open_all(files: list[FoundFile], _: Ledger) -> Generator[OpenedFile | None]:
        return open_reports(files)

    return _load(con, "dose_report", found, readers_of("dose_report", site), key, open_all, store, progress)


def load_dosimeters(
    con: Connection, site: Site, key: Key, progress: Progress | None = None, within: Within | None = None
) -> Summary:
    """Load what is new among the dosimeter exports; arguments as ``load_dose_reports``.

    ``within`` is called while a large export is read, with its name, the MB read so far and its MB.
    A file that was refused is tried again, in its old place of the load sequence, when the description of its source
    has changed. Files that were loaded are read again by ``reread.py``, before this.
    """
    found, store = find_dosimeter_exports(site), _export_store(con, site, key, within)

    def open_all(files: list[FoundFile], ledger: Ledger) -> Generator[OpenedFile | None]:
        return open_exports(files, _export_reader(site, ledger))

    summary = _load(
        con, "dosimeter", found, readers_of("dosimeter", site), key, open_all, store, progress, meanings_of(site)
    )
    tidy(con, site)
    return summary


def _load(
    con: Connection,
    kind: FileKind,
    found: list[FoundFile],
    descriptions: dict[str | None, str],
    key: Key,
    open_all: Callable[[list[FoundFile], Ledger], Generator[OpenedFile | None]],
    store: _Store,
    progress: Progress | None,
    meanings: Mapping[str | None, str] = MappingProxyType({}),
) -> Summary:
    ledger, writer = Ledger.read(con, kind, descriptions), _Writer(con, TOGETHER[kind])
    loader = _Loader(writer, ledger, descriptions, meanings, store, Summary(kind, len(found)), last_load_seq(con))
    to_read = ledger.to_read(found, key)
    with load_settings(con), closing(open_all([file for file, _ in to_read], ledger)) as opened:
        for done, ((file, path_key), seen) in enumerate(zip(to_read, opened, strict=True), start=1):
            shown = loader.load(file, seen, path_key)
            if progress:
                progress(done, len(to_read), shown)
        writer.flush()
    _note_recent_files(con, kind, found, key)
    return loader.summary


def _note_recent_files(con: Connection, kind: FileKind, found: list[FoundFile], key: Key) -> None:
    """Which files of the last days still lie where they were found: the gate's share of refused files is of these."""
    recent, known = recent_files(con, kind, found, key).keys(), known_recent_files(con, kind).keys()
    with transaction(con):
        if gone := known - recent:
            con.execute(f"delete from raw.recent_file where load_seq in ({', '.join(map(str, gone))})")
        _insert(con, "recent_file", pa.table({"load_seq": pa.array(sorted(recent - known), pa.int64())}))


def last_load_seq(con: Connection) -> int:
    """The highest load sequence so far."""
    row = con.execute("select coalesce(max(load_seq), 0) from raw.file").fetchone()
    assert row is not None  # noqa: S101 - an aggregate always has a row
    return int(row[0])


@dataclass(slots=True)
class _Loader:
    """Loads files of one kind one after the other; what a killed run had not written, the next one reads again."""

    writer: _Writer
    ledger: Ledger
    descriptions: Mapping[str | None, str]
    meanings: Mapping[str | None, str]
    store: _Store
    summary: Summary
    last_load_seq: int
    looked_at: float = field(default_factory=time.monotonic)

    def load(self, file: FoundFile, opened: OpenedFile | None, path_key: str) -> str:
        """Load one file, or leave it for the next run if it changes meanwhile; returns its path as shown."""
        if opened is None:
            return self._wait(file)
        if self.ledger.is_known(opened.file, path_key, opened.sha256):
            with self.writer.file() as append:
                self._write_stat(append, opened, path_key)
            return own_path(file.name, None)
        try:
            return self._loaded(file, opened, path_key)
        except StillWrittenError:
            return self._wait(file)

    def _wait(self, file: FoundFile) -> str:
        self.summary.waiting.append(own_path(file.name, None))
        return self.summary.waiting[-1]

    def _loaded(self, found: FoundFile, opened: OpenedFile, path_key: str) -> str:
        file, sha256 = opened.file, opened.sha256
        load_seq = self.ledger.rows.get((path_key, sha256)) or self.last_load_seq + 1
        original = self.ledger.originals.get((sha256, file.source_id))
        try:
            with self.writer.file() as append:
                outcome = self._read(opened, load_seq, original, append)
                _check_unchanged(file)
                shown = self._write(append, opened, path_key, load_seq, outcome)
        except Refused as refused:
            if refused.status != "ignored":
                self._wait_if_written(found)
            outcome = Outcome(
                refused.status,
                refused.reason,
                patient=refused.patient,
                statement=refused.statement,
                is_readable=False,
            )
            if original is not None and refused.status != "ignored":
                outcome = _duplicate(original, refused.patient, is_readable=False)
            with self.writer.file() as append:
                shown = self._write(append, opened, path_key, load_seq, outcome)
        self.last_load_seq = max(self.last_load_seq, load_seq)
        loaded = Original(load_seq, shown) if outcome.status == "loaded" else None
        self.ledger.note(path_key, sha256, file.source_id, load_seq, loaded)
        self.summary.count(outcome)
        return shown

    def _read(self, opened: OpenedFile, load_seq: int, original: Original | None, append: Append) -> Outcome:
        file = opened.file
        if file.ignored_by is not None and (file.kind == "dosimeter" or file.obstacle is not None):
            raise ignored(file.ignored_by)
        if file.obstacle is not None:
            raise Refused("quarantined", file.obstacle)
        return self.store(opened, load_seq, original, append)

    def _wait_if_written(self, found: FoundFile) -> None:
        """Raises StillWrittenError if a file that cannot be read shows that it is not whole yet.

        A whole file is read whatever its name and age; so only what is refused is asked this.

        Args:
            found: the file as it was when the folder was listed.
        """
        age_s = time.time() - found.mtime_ns / 1e9
        if found.obstacle is not None or age_s > UNFINISHED_S:
            return
        if UNFINISHED_NAME.search(found.place.name):
            raise StillWrittenError
        if age_s < YOUNG_S:
            time.sleep(max(0.0, self.looked_at + LOOK_AGAIN_S - time.monotonic()))
        _check_unchanged(found)

    def _write(self, append: Append, opened: OpenedFile, path_key: str, load_seq: int, outcome: Outcome) -> str:
        """Append the file's row of the ledger, new or what a second try made of it; gives its path as published."""
        file, path = opened.file, own_path(opened.file.name, outcome.patient)
        shown = shown_path(file, path_key, path, is_readable=outcome.is_readable, sources=self.descriptions)
        append(
            "file",
            [outcome],
            load_seq=load_seq,
            order_seq=load_seq,
            superseded_by=None,
            path=path,
            shown_path=shown,
            path_key=path_key,
            sha256=opened.sha256,
            size_bytes=file.size_bytes,
            kind=file.kind,
            source_id=file.source_id,
            first_seen_at=datetime.now(UTC),
            description_sha256=reader_of(file.source_id, self.descriptions),
            meaning_sha256=self.meanings.get(file.source_id),
            accepted_meaning_sha256=None,
        )
        append("file_statement", outcome.statement, load_seq=load_seq)
        if opened.sha256 != NO_BYTES:
            self._write_stat(append, opened, path_key)
        return shown

    def _write_stat(self, append: Append, opened: OpenedFile, path_key: str) -> None:
        append("file_stat", [opened.file], path_key=path_key, sha256=opened.sha256)
        self.ledger.rows.pop((path_key, NO_BYTES), None)


def _check_unchanged(file: FoundFile) -> None:
    if not is_unchanged(file):
        raise StillWrittenError


# --- the site's own files ------------------------------------------------------------------------------------------


def load_reference(con: Connection, site: Site) -> bool:
    """Replace what the raw tables say of site.yaml, reference CSVs and source descriptions, if these changed.

    Returns:
        Whether anything was replaced.
    """
    if known_inputs(con) == site.inputs:
        return False
    with transaction(con):
        for table, rows in _reference_rows(site).items():
            con.execute(f"delete from raw.{table}")
            _insert(con, table, _of_records(table, [_Said(rows, {})], itemgetter))
        con.execute("delete from raw.finding where load_seq is null")
        _insert(con, "finding", _of_records("finding", [_Said(list(map(_finding, site.problems)), {})], itemgetter))
    return True


def _reference_rows(site: Site) -> dict[str, list[dict[str, object]]]:
    """The rows of every table that is made from the site's own files."""
    config, rooms = site.config, {row["room_id"] for row in site.reference["rooms"].rows}
    rows: dict[str, list[dict[str, object]]] = {
        "input_file": [{"path": path, "sha256": sha256} for path, sha256 in site.inputs.items()],
        "site": [
            config.model_dump(include={"site_id", "name", "timezone", "language", "jurisdiction", "lens_regime"})
            | {"is_patient_id_stripped": config.patient_id.strip_leading_zeros}
        ],
        "source": [source.model_dump() | {"has_hubs": "hub" in source.columns} for source in site.sources.values()],
        "source_hub": [
            {"source_id": source.source_id, "hub": hub, "room_id": room}
            for source in site.sources.values()
            for hub, room in source.hubs.items()
            if room in rooms
        ],
        "alert_setting": [
            {"rule": rule, "name": name, "value": str(value).lower()}
            for rule, settings in config.alerts.items()
            for name, value in settings.items()
        ],
        "ref_dosimeter_overlap": [asdict(overlap) for overlap in badge_overlaps(site.reference["dosimeters"].rows)],
    }
    for table in TABLES:
        raw_names = {column.name: column.raw_name for column in table.columns}
        rows[f"ref_{table.name}"] = [
            {raw_names.get(name, name): value for name, value in row.items()} for row in site.reference[table.name].rows
        ]
    return rows


def _finding(problem: Problem) -> dict[str, object]:
    """A problem as a finding that medical physics may read: which private value is wrong, only 'check' says."""
    finding = asdict(problem) | {"load_seq": None, "path": problem.file}
    if problem.field in PRIVATE_COLUMNS:
        message = "a private value cannot be read, so the row is refused; 'doseledger check' says which"
        finding |= {"field": None, "message": message}
    return finding
