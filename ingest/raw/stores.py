"""What one file of a kind adds to the raw tables: a dose report its record, an export the rows that it states."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from ingest.dosimeters.description import SourceDescription
from ingest.dosimeters.reader import read_export
from ingest.dosimeters.rows import Batch
from ingest.pseudonymise import Key
from ingest.raw.archive import Archive, kept_of_path
from ingest.raw.file_ledger import Ledger, Original
from ingest.raw.ignored_files import fits
from ingest.raw.published_path import own_path
from ingest.raw.read_ahead import OpenedFile
from ingest.raw.writer import Connection, RowSink
from ingest.records import Patient, Refused, Stated
from ingest.site.config import Site

Within = Callable[[str, int, int], None]  # name of a file, MB read, MB in all
MB = 1_000_000
LARGE_BYTES = 50 * MB  # an export of which users want to see how far its reading is


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


class Store(Protocol):
    """Adds the rows of one kind of file."""

    def add(self, opened: OpenedFile, load_seq: int, original: Original | None, rows: RowSink) -> Outcome:
        """Add the rows of one file.

        Args:
            opened: the file.
            load_seq: its place in the load sequence.
            original: the loaded file with the same bytes, if there is one.
            rows: takes the rows.

        Raises:
            Refused: the file cannot be used.
        """
        ...


@dataclass(frozen=True, slots=True)
class ReportStore:
    """Adds dose reports; see ``Store``."""

    site: Site
    key: Key

    def add(self, opened: OpenedFile, load_seq: int, original: Original | None, rows: RowSink) -> Outcome:
        """Add one dose report; see ``Store``."""
        report = opened.report
        assert report is not None  # noqa: S101 - as open_reports gives it
        if isinstance(report, Refused):
            raise report
        if original is not None:
            return duplicate_of(original, report.patient)
        patient = report.patient
        keys = self.key.patient_keys(patient.issuer, patient.patient_id, self.site.config.patient_id_placeholders)
        rows.append("dose_report", [report], load_seq=load_seq, **keys._asdict())
        rows.append("dose_total", report.totals, load_seq=load_seq)
        rows.append("irradiation_event", report.events, load_seq=load_seq)
        rows.append("finding", report.findings, load_seq=load_seq, path=own_path(opened.file.name, patient))
        return Outcome("loaded", rows_loaded=len(report.events), patient=patient)


@dataclass(frozen=True, slots=True)
class ExportStore:
    """Adds dosimeter exports and keeps a copy of each; see ``Store``.

    Attributes:
        within: called while a large export is read.
    """

    con: Connection
    site: Site
    key: Key
    within: Within | None = None
    archive: Archive = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "archive", Archive(self.site.archive_dir))

    def add(self, opened: OpenedFile, load_seq: int, original: Original | None, rows: RowSink) -> Outcome:
        """Add one export; see ``Store``."""
        file = opened.file
        if original is not None:
            return duplicate_of(original, is_readable=file.source_id in self.site.sources)
        source = source_of(file.source_id, file.place.name, self.site)
        outcome = store_export(self._reported(opened), source, load_seq, own_path(file.name, None), rows)
        former = kept_of_path(self.con, self.key.path_key(file.name))
        rows.append("archived_export", self.archive.keep(file.place, opened.sha256, source, former))
        return outcome

    def _reported(self, opened: OpenedFile) -> Iterator[Batch]:
        for batch in opened.batches:
            yield batch
            if self.within and opened.file.size_bytes > LARGE_BYTES:
                self.within(opened.file.place.name, batch.bytes_read // MB, opened.file.size_bytes // MB)


def export_reader(site: Site, ledger: Ledger) -> Callable[[OpenedFile], Iterator[Batch]]:
    """Reads exports ahead of their store; of one whose bytes were loaded no further than needed."""

    def read(opened: OpenedFile) -> Iterator[Batch]:
        file = opened.file
        if file.ignored_by is not None:
            return
        batches = read_export(file.place, source_of(file.source_id, file.place.name, site))
        # Once there is an original, nothing new can come of reading on.
        while (opened.sha256, file.source_id) not in ledger.originals and (batch := next(batches, None)):
            yield batch

    return read


def store_export(
    batches: Iterable[Batch], source: SourceDescription, load_seq: int, path: str, rows: RowSink
) -> Outcome:
    """Add the rows of an export.

    Raises:
        Refused: as the batches are read.
    """
    loaded = rejected = 0
    statement: tuple[Stated, ...] = ()
    for batch in batches:
        rows.append("dose_record", batch.rows, load_seq=load_seq, source_id=source.source_id, layout=source.layout)
        rows.append("rejected_row", batch.rejected, load_seq=load_seq)
        rows.append("rejected_dose", batch.rejected_doses, load_seq=load_seq)
        rows.append("finding", batch.findings, load_seq=load_seq, path=path)
        statement = batch.statement
        loaded += len(batch.rows)
        rejected += len(batch.rejected)
    return Outcome("loaded", rows_loaded=loaded, rows_rejected=rejected, statement=statement)


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


def duplicate_of(original: Original, patient: Patient | None = None, *, is_readable: bool = True) -> Outcome:
    """What becomes of a file with the bytes of one that was loaded."""
    load_seq, path = original
    reason = f"has the same bytes as {path}"
    return Outcome("duplicate", reason, duplicate_of=load_seq, patient=patient, is_readable=is_readable)
