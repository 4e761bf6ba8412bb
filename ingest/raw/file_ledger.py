"""The ledger of files: which files are in the inbox, which of them are known, and which must be read.

Files are listed here but not opened; reading them and writing the ledger's rows is in ``ingest/raw/loader.py``.
"""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import NamedTuple

import duckdb
import pyarrow as pa

from ingest.pseudonymise import Key
from ingest.raw.build_db import read_build
from ingest.raw.ignored_files import ignored_by
from ingest.records import FileKind
from ingest.site.config import Site
from ingest.user_files import KINDS_OF_NO_FILE

DOSIMETER_FOLDER = "inbox/dosimeters"
RECENT = timedelta(days=30)  # the gate's share of refused files is of those first seen in this time
NO_BYTES = ""  # stands for the SHA-256 of what cannot be read


@dataclass(frozen=True, slots=True)
class FoundFile:
    """Something that lies where files are expected.

    Attributes:
        name: path relative to the site with ``/``, as the file system's bytes; received ones start with ``received/``.
        folder: in or below which it lies: the first part of its name.
        place: where it is.
        kind: what it should hold.
        source_id: folder below ``inbox/dosimeters`` in which it lies, or None.
        size_bytes, mtime_ns: for telling, without reading, that nothing changed.
        obstacle: why it is no file that can be read, or None.
        ignored_by: the pattern of names that are ignored which it fits, or None.
    """

    name: bytes
    folder: str
    place: Path
    kind: FileKind
    source_id: str | None
    size_bytes: int
    mtime_ns: int
    obstacle: str | None
    ignored_by: str | None = None


class Original(NamedTuple):
    """The first loaded file with given bytes."""

    load_seq: int
    path: str


@dataclass(frozen=True, slots=True)
class Reading:
    """A reading in force of a loaded export."""

    load_seq: int
    path: str
    path_key: str
    sha256: str
    rows_loaded: int
    is_loaded: bool


@dataclass(frozen=True, slots=True)
class News:
    """How much is to be done; false if nothing.

    Attributes:
        arrival: hash of what is to be done and of what was read before: never equal for two arrivals, also of the same
            bytes at the same path.
    """

    dose_reports: int
    dosimeters: int
    is_reference_changed: bool
    is_refused_file_gone: bool = False
    reread: int = 0
    arrival: str = ""

    @property
    def has_files(self) -> bool:
        """Whether there are files to be read."""
        return bool(self.dose_reports or self.dosimeters)

    def __bool__(self) -> bool:
        return self.has_files or bool(self.reread or self.is_reference_changed or self.is_refused_file_gone)

    def __str__(self) -> str:
        """In words, such as "2 dose reports, 1 dosimeter export"."""
        parts = [
            _counted(self.dose_reports, "dose report"),
            _counted(self.dosimeters, "dosimeter export"),
            "changed reference files" if self.is_reference_changed else "",
            _counted(self.reread, "export") + " to read again" if self.reread else "",
            "a refused file is gone" if self.is_refused_file_gone else "",
        ]
        return ", ".join(filter(None, parts)) or "nothing new"


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}" if number else ""


# --- what lies there -----------------------------------------------------------------------------------------------


def find_dose_reports(site: Site) -> list[FoundFile]:
    """Everything in the dose report folder and among the received objects, in byte order of the names."""
    folder = site.config.dose_reports.folder
    places = [(site.root / folder, folder), (site.received_dir, "received")]
    found = [file for top, name in places for file in _below(top, name, "dose_report", site)]
    return sorted(found, key=lambda file: file.name)


def find_dosimeter_exports(site: Site) -> list[FoundFile]:
    """Everything below ``inbox/dosimeters``, in byte order of the names."""
    return sorted(_below(site.root / DOSIMETER_FOLDER, DOSIMETER_FOLDER, "dosimeter", site), key=lambda file: file.name)


def _below(top: Path, name: str, kind: FileKind, site: Site) -> Iterator[FoundFile]:
    closed: list[OSError] = []
    homes, ignored = (os.path.realpath(site.root), os.path.realpath(top)), site.config.ignored_files
    for folder, subfolders, files in os.walk(top, onerror=closed.append):
        no_folders = [sub for sub in subfolders if sub.lower().endswith(".dcm") or Path(folder, sub).is_symlink()]
        for entry in files + no_folders:
            yield from _look_at(Path(folder, entry), top, name, kind, homes, ignored)
    for error in closed:
        if not isinstance(error, FileNotFoundError):
            yield from _look_at(Path(error.filename), top, name, kind, homes, ignored)


def _look_at(
    place: Path, top: Path, name: str, kind: FileKind, homes: tuple[str, ...], ignored: Sequence[str]
) -> Iterator[FoundFile]:
    try:
        seen = place.lstat()
    except FileNotFoundError:  # taken away since the folder was listed
        return
    relative = place.relative_to(top).as_posix()
    source_id = relative.split("/")[0] if kind == "dosimeter" and "/" in relative else None
    obstacle = _obstacle_of_link(place, homes) if stat.S_ISLNK(seen.st_mode) else _obstacle(seen.st_mode)
    if obstacle is None and not os.access(place, os.R_OK):
        obstacle = "cannot be read; correct its rights"
    if obstacle is None:
        seen = place.stat()  # of the file, where this is a link to it
    own_name = os.fsencode(f"{name}/{relative}")
    pattern = ignored_by(place.name, time.time() - seen.st_mtime, ignored)
    yield FoundFile(own_name, name, place, kind, source_id, seen.st_size, seen.st_mtime_ns, obstacle, pattern)


def _obstacle(mode: int) -> str | None:
    if stat.S_ISDIR(mode):
        return "is not a file but a folder, and its name or its rights are not those of a folder to read"
    what = KINDS_OF_NO_FILE.get(stat.S_IFMT(mode))
    return f"is not a file but {what}" if what else None


def _obstacle_of_link(place: Path, homes: tuple[str, ...]) -> str | None:
    target = os.path.realpath(place)
    if not any(os.path.commonpath([target, home]) == home for home in homes):
        return "is a link to something outside the site; copy the file instead"
    try:
        mode = place.stat().st_mode
    except OSError:
        return "is a link to nothing"
    return "is a link to a folder; links to folders are not followed here" if stat.S_ISDIR(mode) else _obstacle(mode)


# --- what is known -------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Ledger:
    """What the build database knows of the files of one kind, kept up to date while files are loaded.

    Attributes:
        stats: size and time of change of each path at its last look, by path key.
        rows: load sequence by path key and SHA-256.
        originals: load sequence and shown path of the first loaded file with given bytes, by SHA-256 and source. A
            refused file is no original: the same bytes may be readable under another name or in another folder.
        outdated: path key and SHA-256 of files that were refused or ignored under another source description, by
            another reader of dose reports, or with other ``ignored_files``, than today's.
        ignored: path key and SHA-256 of files that were ignored; they are read once no pattern fits their name.
    """

    stats: dict[str, tuple[int, int]] = field(default_factory=dict)
    rows: dict[tuple[str, str], int] = field(default_factory=dict)
    originals: dict[tuple[str, str | None], Original] = field(default_factory=dict)
    outdated: set[tuple[str, str]] = field(default_factory=set)
    ignored: set[tuple[str, str]] = field(default_factory=set)

    @classmethod
    def read(cls, con: duckdb.DuckDBPyConnection, kind: FileKind, descriptions: Mapping[str | None, str]) -> Ledger:
        """The ledger of one kind.

        Args:
            con: the build database.
            kind: dose reports or dosimeter exports.
            descriptions: SHA-256 of the description of how files are read, by source_id: ``readers_of``.
        """
        ledger = cls()
        rows = con.execute(  # without bound values: they would load pandas
            "select load_seq, shown_path, path_key, sha256, source_id, status, description_sha256 "
            f"from raw.file where kind = '{kind}' and superseded_by is null order by load_seq"
        )
        for load_seq, path, path_key, sha256, source_id, status, description in rows.fetchall():
            is_outdated = status in ("quarantined", "ignored") and description != reader_of(source_id, descriptions)
            if status == "ignored":
                ledger.ignored.add((path_key, sha256))
            if is_outdated and sha256 != NO_BYTES:
                ledger.rows[path_key, sha256] = load_seq
                ledger.outdated.add((path_key, sha256))
            else:
                original = Original(load_seq, path) if status == "loaded" else None
                ledger.note(path_key, sha256, source_id, load_seq, original)
        stats = con.execute("select path_key, size_bytes, mtime_ns from raw.file_stat").fetchall()
        ledger.stats = {path_key: (size, mtime) for path_key, size, mtime in stats}
        return ledger

    def note(self, path_key: str, sha256: str, source_id: str | None, load_seq: int, original: Original | None) -> None:
        """Remember one row of the file ledger that is settled, and the loaded file of which there may be copies."""
        self.rows[path_key, sha256] = load_seq
        self.outdated.discard((path_key, sha256))
        if original is not None:
            self.originals.setdefault((sha256, source_id), original)

    def is_known(self, file: FoundFile, path_key: str, sha256: str) -> bool:
        """Whether these bytes were seen at this path, and nothing new can come of reading them again."""
        reading = (path_key, sha256)
        is_no_longer_ignored = reading in self.ignored and file.ignored_by is None
        return reading in self.rows and reading not in self.outdated and not is_no_longer_ignored

    def to_read(self, found: Iterable[FoundFile], key: Key) -> list[tuple[FoundFile, str]]:
        """The files to be read, with their path keys: new, changed, or refused under another description."""
        refused, ignored = ({path_key for path_key, _ in readings} for readings in (self.outdated, self.ignored))
        return [
            (file, path_key)
            for file in found
            if not self._is_settled(file, path_key := key.path_key(file.name))
            or path_key in refused
            or (path_key in ignored and file.ignored_by is None)
        ]

    def _is_settled(self, file: FoundFile, path_key: str) -> bool:
        if ((path_key, NO_BYTES) in self.rows) != (file.obstacle is not None):
            return False  # what could not be read can be now, or the other way round
        return file.obstacle is not None or self.stats.get(path_key) == (file.size_bytes, file.mtime_ns)


def descriptions_of(site: Site) -> dict[str | None, str]:
    """SHA-256 of each source's description by source_id."""
    return {source_id: site.inputs[f"sources/{source_id}.yaml"] for source_id in site.sources}


@cache
def reader_of_reports() -> dict[str | None, str]:
    """SHA-256 of the code that reads dose reports, in place of a description: newer code may read what this refuses."""
    here = Path(__file__).parents[1]
    files = [here / "units.py", *sorted((here / "dose_reports").glob("*.py"))]
    return {None: hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()}


def meanings_of(site: Site) -> dict[str | None, str]:
    """SHA-256 of what a row of an export means, by source_id."""
    return {source_id: source.meaning_sha256 for source_id, source in site.sources.items()}


def due(con: duckdb.DuckDBPyConnection, site: Site) -> dict[str, list[Reading]]:
    """The readings that another description of their source made stale, by source, in the order of files.

    Withdrawn files are left alone. One that was refused when it was read again is due, too.
    """
    withdrawn = {row["sha256"] for row in site.reference["withdrawn_files"].rows}
    rows = con.execute(
        """
        select source_id, load_seq, path, path_key, sha256, rows_loaded, status = 'loaded', meaning_sha256,
            accepted_meaning_sha256
        from raw.file
        where kind = 'dosimeter' and superseded_by is null
            and (status = 'loaded' or (status = 'quarantined' and order_seq < load_seq))
        order by order_seq
        """
    ).fetchall()
    readings = defaultdict(list)
    for source_id, load_seq, path, path_key, sha256, n_rows, is_loaded, meaning, accepted in rows:
        source = site.sources.get(source_id)
        if source and sha256 not in withdrawn and source.meaning_sha256 not in (meaning, accepted):
            readings[source_id].append(Reading(load_seq, path, path_key, sha256, n_rows, is_loaded))
    return readings


def readers_of(kind: FileKind, site: Site) -> dict[str | None, str]:
    """SHA-256 of everything that decides whether files of a kind are refused, by source_id; None: of no source."""
    descriptions = reader_of_reports() if kind == "dose_report" else {None: "", **descriptions_of(site)}
    ignored = repr(sorted(site.config.ignored_files))
    return {source: hashlib.sha256((sha256 + ignored).encode()).hexdigest() for source, sha256 in descriptions.items()}


def reader_of(source_id: str | None, readers: Mapping[str | None, str]) -> str | None:
    """Of ``readers_of`` that of one file."""
    return readers.get(source_id, readers.get(None))


def recent_files(
    con: duckdb.DuckDBPyConnection, kind: FileKind, found: Sequence[FoundFile], key: Key
) -> dict[int, str]:
    """Status by load sequence of the readings that were first seen lately and whose bytes still lie there."""
    con.register("found_now", pa.table({"path_key": [key.path_key(file.name) for file in found]}))
    since = (datetime.now(UTC) - RECENT).isoformat()
    rows = con.execute(
        f"""
        select load_seq, status
        from raw.file
        left join raw.file_stat using (path_key)
        where kind = '{kind}' and superseded_by is null and first_seen_at >= timestamptz '{since}'
            and path_key in (select path_key from found_now)
            and raw.file.sha256 = coalesce(raw.file_stat.sha256, '{NO_BYTES}')
        """
    ).fetchall()
    con.unregister("found_now")
    return dict(rows)


def known_recent_files(con: duckdb.DuckDBPyConnection, kind: FileKind) -> dict[int, str]:
    """``recent_files`` as the last scan found them."""
    query = "select load_seq, status from raw.recent_file join raw.file using (load_seq)"
    return dict(con.execute(f"{query} where kind = '{kind}'").fetchall())


def _refused(files: Mapping[int, str]) -> set[int]:
    return {load_seq for load_seq, status in files.items() if status == "quarantined"}


def whats_new(site: Site, key: Key) -> News:
    """What a run would have to read now; opens no file of the inbox.

    Raises:
        BuildUnavailable: the build database is in use or belongs to another site.
        WrongKey: it was made with another key.
    """
    found: dict[FileKind, list[FoundFile]] = {
        "dose_report": find_dose_reports(site),
        "dosimeter": find_dosimeter_exports(site),
    }
    if not site.build_db.exists():
        to_read = {kind: [(file, key.path_key(file.name)) for file in files] for kind, files in found.items()}
        return News(
            len(found["dose_report"]),
            len(found["dosimeter"]),
            is_reference_changed=True,
            arrival=_arrival(site, to_read, read_before=""),
        )
    with read_build(site, key) as con:
        to_read = {
            kind: Ledger.read(con, kind, readers_of(kind, site)).to_read(files, key) for kind, files in found.items()
        }
        is_gone = any(
            _refused(recent_files(con, kind, files, key)) != _refused(known_recent_files(con, kind))
            for kind, files in found.items()
        )
        n_due = sum(map(len, due(con, site).values()))
        return News(
            len(to_read["dose_report"]),
            len(to_read["dosimeter"]),
            known_inputs(con) != site.inputs,
            is_gone,
            n_due,
            _arrival(site, to_read, read_before=input_fingerprint(con)),
        )


def _arrival(site: Site, to_read: Mapping[FileKind, Sequence[tuple[FoundFile, str]]], read_before: str) -> str:
    files = [(path_key, file.size_bytes, file.mtime_ns) for found in to_read.values() for file, path_key in found]
    return hashlib.sha256(repr((read_before, sorted(site.inputs.items()), sorted(files))).encode()).hexdigest()[:12]


def known_inputs(con: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """SHA-256 of each site file that the reference tables were made from, by path."""
    return dict(con.execute("select path, sha256 from raw.input_file").fetchall())


def input_fingerprint(con: duckdb.DuckDBPyConnection) -> str:
    """SHA-256 over everything that the raw tables hold: equal means that nothing new was read."""
    files = con.execute("select load_seq, sha256, status from raw.file order by load_seq").fetchall()
    refused = sorted(_refused(known_recent_files(con, "dose_report")) | _refused(known_recent_files(con, "dosimeter")))
    inputs = sorted(known_inputs(con).items())
    return hashlib.sha256(repr((files, refused, inputs)).encode()).hexdigest()
