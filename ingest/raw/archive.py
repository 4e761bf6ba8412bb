"""Compressed copies of loaded exports, from which they are read again when the description of their source changes.

The copies lie below ``data_dir/archive``, named by the hash of the content; which content is in which copy is in
``raw.archived_export``. ``reread.py`` decides when a file is read again.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

import duckdb

from ingest.dosimeters.blanking import without_cells
from ingest.dosimeters.description import SourceDescription
from ingest.dosimeters.reader import places_in
from ingest.site.config import Site
from ingest.user_files import open_regular

CHUNK = 1 << 20
LEVEL = 3  # of compression: exports shrink to a tenth at any level, and higher ones take several times as long


class NotKeptError(Exception):
    """The content is not in the archive, or cannot be read from it; the text is the end of a sentence."""


@dataclass(frozen=True, slots=True)
class Kept:
    """Where the content of a loaded export is kept: a row of ``raw.archived_export``."""

    source_id: str
    sha256: str
    content_bytes: int
    kept_in: str
    kept_bytes: int
    blank_places: str
    delimiter: str
    skip_rows: int
    encoding: str
    archived_at: datetime

    @property
    def is_whole(self) -> bool:
        """Whether the copy has every byte of the content."""
        return not self.blank_places


@dataclass(frozen=True, slots=True)
class Archive:
    """The copies of one site."""

    folder: Path

    def keep(self, place: Path, sha256: str, source: SourceDescription, former: Iterable[Kept]) -> list[Kept]:
        """Keep a copy of an export; gives the rows of what this copy holds.

        Args:
            place: the export, which fits its description.
            sha256: of its bytes.
            source: its description.
            former: what is held by the copy of the content that lay at the same path before.
        """
        mapped, ignored = places_in(place, source)
        width = len(mapped | ignored)
        pieces = without_cells(place, source, width, ignored) if ignored else _chunks(place)
        own = Kept(
            source_id=source.source_id,
            sha256=sha256,
            content_bytes=place.stat().st_size,
            kept_in=sha256,
            kept_bytes=self._write(self._copy(source.source_id, sha256), pieces),
            blank_places=",".join(map(str, sorted(ignored))),
            delimiter=source.delimiter,
            skip_rows=source.skip_rows,
            encoding=source.encoding,
            archived_at=datetime.now(UTC),
        )
        is_continued = any(kept.sha256 == kept.kept_in and _continues(place, own, kept) for kept in former)
        return [own, *(replace(kept, kept_in=sha256) for kept in former if is_continued)]

    def unpack(self, kept: Kept, source: SourceDescription, place: Path) -> None:
        """Write a content to a file, for reading it as a source is described now.

        Raises:
            NotKeptError: the copy is gone or damaged, or lacks cells that the description needs.
        """
        digest, left = hashlib.sha256(), kept.kept_bytes
        try:
            with gzip.open(self._copy(kept.source_id, kept.kept_in)) as copy, _private(place) as file:
                while left and (piece := copy.read(min(left, CHUNK))):
                    file.write(piece)
                    digest.update(piece)
                    left -= len(piece)
                while not kept.is_whole and copy.read(CHUNK):  # to its end, where its checksum is
                    pass
        except FileNotFoundError:
            raise NotKeptError("its copy in the archive is gone") from None
        except (EOFError, OSError, zlib.error):
            raise NotKeptError("its copy in the archive is damaged") from None
        if left or (kept.is_whole and digest.hexdigest() != kept.sha256):
            raise NotKeptError("its copy in the archive is damaged")
        if not kept.is_whole:
            _check_blank(kept, source, place)

    def remove(self, copies: Iterable[tuple[str, str]]) -> None:
        """Remove the copies of some contents, named by source and hash, that are still there."""
        for source_id, sha256 in copies:
            self._copy(source_id, sha256).unlink(missing_ok=True)

    def _copy(self, source_id: str, sha256: str) -> Path:
        return self.folder / source_id / f"{sha256}.gz"

    def _write(self, target: Path, pieces: Iterable[bytes]) -> int:
        """Write a copy whole or not at all; gives the bytes before compression."""
        for folder in (self.folder, target.parent):
            folder.mkdir(mode=0o700, exist_ok=True)
        begun, size = target.with_suffix(".begun"), 0
        with _private(begun) as file:
            with gzip.GzipFile("", "wb", LEVEL, file, mtime=0) as copy:
                for piece in pieces:
                    copy.write(piece)
                    size += len(piece)
            file.flush()
            os.fsync(file.fileno())
        begun.replace(target)
        return size


def _check_blank(kept: Kept, source: SourceDescription, place: Path) -> None:
    """Raises NotKeptError if the cells that were left out cannot be found under this description, or are needed."""
    is_other_text = kept.encoding != source.encoding and "utf-16" in (kept.encoding, source.encoding)
    if (kept.delimiter, kept.skip_rows) != (source.delimiter, source.skip_rows) or is_other_text:
        raise NotKeptError(
            "its copy in the archive lacks ignored columns, which the changed description places otherwise"
        )
    mapped, _ = places_in(place, source)
    if mapped & set(map(int, kept.blank_places.split(","))):
        raise NotKeptError("its copy in the archive lacks a column that was ignored when it was loaded")


def _continues(place: Path, own: Kept, former: Kept) -> bool:
    """Whether an export begins with a former content that ended with a line end, so that one copy holds both."""
    layout = (own.blank_places, own.delimiter, own.skip_rows, own.encoding)
    is_alike = layout == (former.blank_places, former.delimiter, former.skip_rows, former.encoding)
    if not is_alike or own.encoding == "utf-16" or own.content_bytes <= former.content_bytes:
        return False
    digest, left, piece = hashlib.sha256(), former.content_bytes, b""
    with open_regular(place) as file:
        while left and (piece := file.read(min(left, CHUNK))):
            digest.update(piece)
            left -= len(piece)
    return piece.endswith(b"\n") and digest.hexdigest() == former.sha256


def _chunks(place: Path) -> Iterator[bytes]:
    with open_regular(place) as file:
        while piece := file.read(CHUNK):
            yield piece


def _private(place: Path) -> BinaryIO:
    """An empty file that only its owner may read."""
    return os.fdopen(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb")


# --- which content is in which copy ----------------------------------------------------------------------------------

_COLUMNS = (
    "source_id, sha256, content_bytes, kept_in, kept_bytes, blank_places, delimiter, skip_rows, encoding, archived_at"
)


def kept_content(con: duckdb.DuckDBPyConnection, source_id: str, sha256: str) -> Kept | None:
    """Where a content is kept."""
    where = f"source_id = '{source_id}' and sha256 = '{sha256}'"
    rows = con.execute(f"select {_COLUMNS} from raw.archived_export where {where}").fetchall()
    return Kept(*rows[0]) if rows else None


def kept_of_path(con: duckdb.DuckDBPyConnection, path_key: str) -> list[Kept]:
    """All that is held by the copy of the newest content that lay at a path."""
    newest = f"""
        select source_id, kept_in
        from raw.archived_export
        join raw.file using (source_id, sha256)
        where path_key = '{path_key}' and status = 'loaded'
        order by load_seq desc
        limit 1
    """
    query = f"select {_COLUMNS} from raw.archived_export semi join ({newest}) using (source_id, kept_in)"
    return [Kept(*row) for row in con.execute(query).fetchall()]


def tidy(con: duckdb.DuckDBPyConnection, site: Site) -> None:
    """Remove copies that a longer one replaced, and those that are older than ``site.yaml: archive.keep_days``."""
    archive, keep_days = Archive(site.archive_dir), site.config.archive.keep_days
    replaced = con.execute("select source_id, sha256 from raw.archived_export where kept_in <> sha256").fetchall()
    archive.remove(replaced)
    if keep_days is None:
        return
    expiry = (datetime.now(UTC) - timedelta(days=keep_days)).isoformat()
    expired = f"kept_in in (select sha256 from raw.archived_export where archived_at < timestamptz '{expiry}')"
    archive.remove(con.execute(f"select source_id, sha256 from raw.archived_export where {expired}").fetchall())
    con.execute(f"delete from raw.archived_export where {expired}")
