"""Loading: what is new in the site's folders goes into the raw tables, file by file.

What is new is found in ``file_ledger.py``, files are opened by ``read_ahead.py``, their rows come from ``stores.py``
and are written by ``writer.py``; versions, repeats and links are decided later, in dbt.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType

import pyarrow as pa

from ingest.pseudonymise import Key
from ingest.raw.archive import tidy
from ingest.raw.file_ledger import (
    NO_BYTES,
    FoundFile,
    Ledger,
    Original,
    find_dose_reports,
    find_dosimeter_exports,
    known_recent_files,
    meanings_of,
    reader_of,
    readers_of,
    recent_files,
)
from ingest.raw.published_path import own_path, shown_path
from ingest.raw.read_ahead import OpenedFile, ignored, is_unchanged, open_exports, open_reports
from ingest.raw.stores import ExportStore, Outcome, ReportStore, Store, Within, duplicate_of, export_reader
from ingest.raw.writer import Connection, RowSink, RowWriter, insert, load_settings, transaction
from ingest.records import FileKind, Refused
from ingest.site.config import Site

LOOK_AGAIN_S = 1.0  # what is young and cannot be read is looked at a second time, this long after the first
YOUNG_S = 10.0
UNFINISHED_S = 600.0  # a name that copying programs give to a part of a file is believed for this long
UNFINISHED_NAME = re.compile(
    r"\.(part|partial|filepart|crdownload|download|tmp|temp|!sync)$|^\..+\.\w{6}$", re.IGNORECASE
)
Progress = Callable[[int, int, str], None]
# Rows that are written at once: of dose reports they are made one by one, of exports they are columns already.
TOGETHER: dict[FileKind, int] = {"dose_report": 10_000, "dosimeter": 250_000}


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
    found, store = find_dose_reports(site), ReportStore(site, key)

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
    found, store = find_dosimeter_exports(site), ExportStore(con, site, key, within)

    def open_all(files: list[FoundFile], ledger: Ledger) -> Generator[OpenedFile | None]:
        return open_exports(files, export_reader(site, ledger))

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
    store: Store,
    progress: Progress | None,
    meanings: Mapping[str | None, str] = MappingProxyType({}),
) -> Summary:
    ledger, writer = Ledger.read(con, kind, descriptions), RowWriter(con, TOGETHER[kind])
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
        insert(con, "recent_file", pa.table({"load_seq": pa.array(sorted(recent - known), pa.int64())}))


def last_load_seq(con: Connection) -> int:
    """The highest load sequence so far."""
    row = con.execute("select coalesce(max(load_seq), 0) from raw.file").fetchone()
    assert row is not None  # noqa: S101 - an aggregate always has a row
    return int(row[0])


@dataclass(slots=True)
class _Loader:
    """Loads files of one kind one after the other; what a killed run had not written, the next one reads again."""

    writer: RowWriter
    ledger: Ledger
    descriptions: Mapping[str | None, str]
    meanings: Mapping[str | None, str]
    store: Store
    summary: Summary
    last_load_seq: int
    looked_at: float = field(default_factory=time.monotonic)

    def load(self, file: FoundFile, opened: OpenedFile | None, path_key: str) -> str:
        """Load one file, or leave it for the next run if it changes meanwhile; returns its path as shown."""
        if opened is None:
            return self._wait(file)
        if self.ledger.is_known(opened.file, path_key, opened.sha256):
            with self.writer.file() as rows:
                self._write_stat(rows, opened, path_key)
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
            with self.writer.file() as rows:
                outcome = self._read(opened, load_seq, original, rows)
                _check_unchanged(file)
                shown = self._write(rows, opened, path_key, load_seq, outcome)
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
                outcome = duplicate_of(original, refused.patient, is_readable=False)
            with self.writer.file() as rows:
                shown = self._write(rows, opened, path_key, load_seq, outcome)
        self.last_load_seq = max(self.last_load_seq, load_seq)
        loaded = Original(load_seq, shown) if outcome.status == "loaded" else None
        self.ledger.note(path_key, sha256, file.source_id, load_seq, loaded)
        self.summary.count(outcome)
        return shown

    def _read(self, opened: OpenedFile, load_seq: int, original: Original | None, rows: RowSink) -> Outcome:
        file = opened.file
        if file.ignored_by is not None and (file.kind == "dosimeter" or file.obstacle is not None):
            raise ignored(file.ignored_by)
        if file.obstacle is not None:
            raise Refused("quarantined", file.obstacle)
        return self.store.add(opened, load_seq, original, rows)

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

    def _write(self, rows: RowSink, opened: OpenedFile, path_key: str, load_seq: int, outcome: Outcome) -> str:
        """Append the file's row of the ledger, new or what a second try made of it; gives its path as published."""
        file, path = opened.file, own_path(opened.file.name, outcome.patient)
        shown = shown_path(file, path_key, path, is_readable=outcome.is_readable, sources=self.descriptions)
        rows.append(
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
        rows.append("file_statement", outcome.statement, load_seq=load_seq)
        if opened.sha256 != NO_BYTES:
            self._write_stat(rows, opened, path_key)
        return shown

    def _write_stat(self, rows: RowSink, opened: OpenedFile, path_key: str) -> None:
        rows.append("file_stat", [opened.file], path_key=path_key, sha256=opened.sha256)
        self.ledger.rows.pop((path_key, NO_BYTES), None)


def _check_unchanged(file: FoundFile) -> None:
    if not is_unchanged(file):
        raise StillWrittenError
