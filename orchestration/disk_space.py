"""What a disk or the account's rights may refuse: how much room a night needs, and one sentence for what went wrong."""

from __future__ import annotations

import errno
import re
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import duckdb

from ingest.problems import UserError
from ingest.raw.file_ledger import find_dose_reports, find_dosimeter_exports
from ingest.site.config import Site
from orchestration.publication.history import publications

# Measured on small hospitals: tables without rows, Dagster's records, a publication; and of the exports what they
# become in the build database.
FIRST_NIGHT_BYTES, NEXT_NIGHT_BYTES, PER_INBOX_BYTE = 120_000_000, 30_000_000, 1.5
NEARLY_FULL_BYTES = 2_000_000
MB = 1_000_000
FULL = re.compile(
    r"No space left on device|disk is full|Disk quota exceeded|failed to offload data block", re.IGNORECASE
)
REFUSED = re.compile(
    r"Permission denied|readonly database|Read-only file system|unable to open database", re.IGNORECASE
)


class NoRoom(UserError):
    """The disk is full, or a night would fill it."""


def room_needed(site: Site) -> int:
    """Bytes that a night needs at most: a publication beside the others, and what is new in the build database."""
    if not site.build_db.exists():
        inbox = sum(file.size_bytes for file in (*find_dose_reports(site), *find_dosimeter_exports(site)))
        return FIRST_NIGHT_BYTES + int(PER_INBOX_BYTE * inbox)
    last = max((one.size_bytes for one in publications(site.published_dir)), default=0)
    return NEXT_NIGHT_BYTES + last + site.build_db.stat().st_size // 2


def check_room(site: Site) -> None:
    """Refuse a night for which there is no room, before it begins.

    Raises:
        NoRoom: with what is full and how much is needed.
    """
    if shutil.disk_usage(existing(site.data_dir)).free < room_needed(site):
        raise NoRoom(no_room(site))


def no_room(site: Site) -> str:
    """One sentence: what is full, and how much a night needs."""
    place = existing(site.data_dir)
    return (
        f"The disk of {place} is full: {shutil.disk_usage(place).free // MB} MB are free, and a night needs about"
        f" {-(-room_needed(site) // MB)} MB. Make room, or let data_dir in site.yaml name another disk, and run again;"
        " nothing that was read is lost."
    )


def existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    return next(place for place in (folder, *folder.parents) if place.exists())


def is_nearly_full(site: Site) -> bool:
    """Whether so little is left that an error which names no reason comes from that."""
    return shutil.disk_usage(existing(site.data_dir)).free < NEARLY_FULL_BYTES


def is_full(text: str) -> bool:
    """Whether an error's text reports a full disk."""
    return FULL.search(text) is not None


def sentence_of(error: BaseException) -> str | None:
    """One sentence for an error that a disk or the account's rights made; None for any other."""
    for one in _with_causes(error):
        if isinstance(one, OSError) and one.errno in (errno.ENOSPC, errno.EDQUOT):
            return f"The disk is full ({one.filename or one.strerror}); make room and run again."
        if isinstance(one, OSError) and one.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            return f"{one.filename}: {one.strerror}. Use the account that owns the site's data, or correct the rights."
        if isinstance(one, duckdb.Error | sqlite3.Error):
            text = str(one).splitlines()[0]
            if is_full(text):
                return f"The disk is full ({text}); make room and run again."
            if "disk I/O error" in text:  # SQLite's word for a full disk, too
                return f"The disk cannot be written ({text}): it is full or broken."
            if REFUSED.search(text):
                return f"{text}. Use the account that owns the site's data, or correct the rights."
    return None


def _with_causes(error: BaseException) -> Iterator[BaseException]:
    one: BaseException | None = error
    seen: set[int] = set()
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        yield one
        one = one.__cause__ or one.__context__
