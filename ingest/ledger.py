"""The ledger of files: what lies in the inbox, what of it is known, and what is therefore to be read.

Files are looked at here but not opened; reading them and writing the ledger's rows is in ``ingest/raw_load.py``.
"""

from __future__ import annotations

import hashlib
import os
import stat
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import NamedTuple

import duckdb

from ingest.build_db import look_into_build
from ingest.pseudonymise import Key
from ingest.records import FileKind
from ingest.site import Site
from ingest.user_files import KINDS_OF_NO_FILE

DOSIMETER_FOLDER = "inbox/dosimeters"
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
    """

    name: bytes
    folder: str
    place: Path
    kind: FileKind
    source_id: str | None
    size_bytes: int
    mtime_ns: int
    obstacle: str | None


class Original(NamedTuple):
    """The first loaded file with given bytes."""

    load_seq: int
    path: str


@dataclass(frozen=True, slots=True)
class News:
    """How much is to be done; false if nothing."""

    dose_reports: int
    dosimeters: int
    is_reference_changed: bool

    def __bool__(self) -> bool:
        return bool(self.dose_reports or self.dosimeters or self.is_reference_changed)


# --- what lies there -----------------------------------------------------------------------------------------------


def find_dose_reports(site: Site) -> list[FoundFile]:
    """Everything in the dose report folder and among the received objects, in byte order of the names."""
    folder = site.config.dose_reports.folder
    places = [(site.root / folder, folder), (site.received_dir, "received")]
    found = [file for top, name in places for file in _below(top, name, "dose_report", site.root)]
    return sorted(found, key=lambda file: file.name)


def find_dosimeter_exports(site: Site) -> list[FoundFile]:
    """Everything below ``inbox/dosimeters``, in byte order of the names."""
    return sorted(
        _below(site.root / DOSIMETER_FOLDER, DOSIMETER_FOLDER, "dosimeter", site.root), key=lambda file: file.name
    )


def _below(top: Path, name: str, kind: FileKind, root: Path) -> Iterator[FoundFile]:
    closed: list[OSError] = []
    homes = (os.path.realpath(root), os.path.realpath(top))
    for folder, subfolders, files in os.walk(top, onerror=closed.append):
        no_folders = [sub for sub in subfolders if sub.lower().endswith(".dcm") or Path(folder, sub).is_symlink()]
        for entry in files + no_folders:
            yield from _look_at(Path(folder, entry), top, name, kind, homes)
    for error in closed:
        if not isinstance(error, FileNotFoundError):
            yield from _look_at(Path(error.filename), top, name, kind, homes)


def _look_at(place: Path, top: Path, name: str, kind: FileKind, homes: tuple[str, ...]) -> Iterator[FoundFile]:
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
    yield FoundFile(own_name, name, place, kind, source_id, seen.st_size, seen.st_mtime_ns, obstacle)


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


def fits(name: str, pattern: str) -> bool:
    """Whether a file's name fits a pattern; upper and lower case and Unicode's normal forms make no difference."""
    return fnmatchcase(_plain(name), _plain(pattern))


def _plain(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()


# --- what is known -------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Ledger:
    """What the build database knows of the files of one kind, kept up to date while files are loaded.

    Attributes:
        stats: size and time of change of each path at its last look, by path key.
        rows: load sequence by path key and SHA-256.
        originals: load sequence and shown path of the first loaded file with given bytes, by SHA-256 and source. A
            refused file is no original: the same bytes may be readable under another name or in another folder.
        outdated: path key and SHA-256 of files that were refused under another source description, or by another
            reader of dose reports, than today's.
    """

    stats: dict[str, tuple[int, int]] = field(default_factory=dict)
    rows: dict[tuple[str, str], int] = field(default_factory=dict)
    originals: dict[tuple[str, str | None], Original] = field(default_factory=dict)
    outdated: set[tuple[str, str]] = field(default_factory=set)

    @classmethod
    def read(cls, con: duckdb.DuckDBPyConnection, kind: FileKind, descriptions: Mapping[str | None, str]) -> Ledger:
        """The ledger of one kind.

        Args:
            con: the build database.
            kind: dose reports or dosimeter exports.
            descriptions: SHA-256 of what says how files are read, by source_id: ``descriptions_of`` or
                ``reader_of_reports``.
        """
        ledger = cls()
        rows = con.execute(
            "select load_seq, shown_path, path_key, sha256, source_id, status, description_sha256 "
            f"from raw.file where kind = '{kind}' order by load_seq"  # a bound value would load pandas
        )
        for load_seq, path, path_key, sha256, source_id, status, description in rows.fetchall():
            is_outdated = status == "quarantined" and description != descriptions.get(source_id)
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

    def is_known(self, path_key: str, sha256: str) -> bool:
        """Whether these bytes were seen at this path, and nothing new can come of reading them again."""
        return (path_key, sha256) in self.rows and (path_key, sha256) not in self.outdated

    def to_read(self, found: Iterable[FoundFile], key: Key) -> list[tuple[FoundFile, str]]:
        """The files to be read, with their path keys: new, changed, or refused under another description."""
        refused = {path_key for path_key, _ in self.outdated}
        return [
            (file, path_key)
            for file in found
            if not self._is_settled(file, path_key := key.path_key(file.name)) or path_key in refused
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
    here = Path(__file__).parent
    files = [here / "units.py", *sorted((here / "dose_reports").glob("*.py"))]
    return {None: hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()}


def whats_new(site: Site, key: Key) -> News:
    """What a run would have to read now; opens no file of the inbox.

    Raises:
        BuildUnavailable: the build database is in use or belongs to another site.
        WrongKey: it was made with another key.
    """
    dose_reports, exports, inputs = Ledger(), Ledger(), {}
    if site.build_db.exists():
        with look_into_build(site, key) as con:
            dose_reports = Ledger.read(con, "dose_report", reader_of_reports())
            exports = Ledger.read(con, "dosimeter", descriptions_of(site))
            inputs = known_inputs(con)
    return News(
        len(dose_reports.to_read(find_dose_reports(site), key)),
        len(exports.to_read(find_dosimeter_exports(site), key)),
        inputs != site.inputs,
    )


def known_inputs(con: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """SHA-256 of each site file that the reference tables were made from, by path."""
    return dict(con.execute("select path, sha256 from raw.input_file").fetchall())


def input_fingerprint(con: duckdb.DuckDBPyConnection) -> str:
    """SHA-256 over everything that the raw tables hold: equal means that nothing new was read."""
    files = con.execute("select load_seq, sha256, status from raw.file order by load_seq").fetchall()
    inputs = sorted(known_inputs(con).items())
    return hashlib.sha256(repr((files, inputs)).encode()).hexdigest()
