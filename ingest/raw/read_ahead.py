"""Opening the files that are to be loaded: their hash and what they say, read ahead of what is being stored.

Nothing is written here. What lies there is found in ``file_ledger.py``, what was read is stored by ``loader.py``.
"""

from __future__ import annotations

import gc
import hashlib
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import groupby
from multiprocessing import get_context
from operator import itemgetter
from typing import Any, TypeVar

from ingest.dose_reports import MAX_BYTES, is_dicom, read_dose_report
from ingest.dosimeters.rows import Batch
from ingest.raw.file_ledger import NO_BYTES, FoundFile
from ingest.records import DoseReport, Refused
from ingest.time_limit import TookTooLong, time_limit
from ingest.user_files import open_regular

MANY = 200  # files from which processes pay: each needs a second to start
AT_ONCE = 8  # files that are handed over together
AHEAD = 8  # times so many, or batches of exports, are read and not yet stored: bounds memory
REPORT_S = 60  # of processor time; the largest report that is read, 32 MB of empty items, takes a sixth
NEW_OBJECTS = (
    100_000  # after which a reading process looks for cycles: reading makes none, and looking is a sixth of it
)


@dataclass(frozen=True, slots=True)
class OpenedFile:
    """A file as it was when it was read.

    Attributes:
        file: with size and time of change at that moment, and with an obstacle if it cannot be read.
        sha256: of its bytes; ``NO_BYTES`` if it cannot be read.
        report: what a dose report says, or why it is refused; None for other files.
        batches: what an export says, as long as the next file is not asked for; raises why it is refused.
    """

    file: FoundFile
    sha256: str
    report: DoseReport | Refused | None = None
    batches: Iterable[Batch] = ()


def open_file(file: FoundFile) -> OpenedFile | None:
    """The file with the hash of its bytes; None if it changes meanwhile."""
    if file.obstacle is not None:
        return OpenedFile(file, NO_BYTES)
    try:
        seen = file.place.stat()
        with open_regular(file.place) as content:
            sha256 = hashlib.file_digest(content, "sha256").hexdigest()
    except FileNotFoundError:
        return None
    except OSError as error:
        return OpenedFile(replace(file, obstacle=f"cannot be read ({error.strerror})"), NO_BYTES)
    now = replace(file, size_bytes=seen.st_size, mtime_ns=seen.st_mtime_ns)
    return OpenedFile(now, sha256) if is_unchanged(now) else None


def open_report(file: FoundFile) -> OpenedFile | None:
    """The file with its hash and what it says; None if it changes meanwhile."""
    opened = open_file(file)
    if opened is None or opened.file.obstacle is not None:
        return opened
    report: DoseReport | Refused
    try:
        with open_regular(file.place) as content:
            data = content.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    try:
        with time_limit(REPORT_S):
            report = read_dose_report(data)
    except Refused as refused:
        report = refused if file.ignored_by is None or is_dicom(data) else ignored(file.ignored_by)
    except TookTooLong:
        report = Refused("quarantined", f"reading it takes more than {REPORT_S} s of processor time")
    return replace(opened, report=report) if is_unchanged(opened.file) else None


def ignored(pattern: str) -> Refused:
    """What becomes of a file whose name fits a pattern of names that are ignored."""
    return Refused("ignored", f"its name fits '{pattern}', a name of temporary or hidden files")


def open_reports(files: Sequence[FoundFile]) -> Generator[OpenedFile | None]:
    """``open_report`` of each file, in their order; of many files in as many processes as there are processors."""
    workers = len(os.sched_getaffinity(0))
    if len(files) < MANY or workers < 2:
        yield from map(open_report, files)
        return
    # Not forked: the database's threads live in this process.
    with ProcessPoolExecutor(workers, get_context("spawn"), gc.set_threshold, (NEW_OBJECTS,)) as pool:
        reading: deque[Future[list[OpenedFile | None]]] = deque()
        for at in range(0, len(files), AT_ONCE):
            reading.append(pool.submit(_open_each, files[at : at + AT_ONCE]))
            if len(reading) > AHEAD:
                yield from reading.popleft().result()
        while reading:
            yield from reading.popleft().result()


def _open_each(files: Sequence[FoundFile]) -> list[OpenedFile | None]:
    return [open_report(file) for file in files]


def open_exports(
    files: Sequence[FoundFile], read: Callable[[OpenedFile], Iterator[Batch]]
) -> Generator[OpenedFile | None]:
    """Each file with its hash and the batches that ``read`` gives of it, in their order; None if it changes meanwhile.

    A thread reads while the one who asks stores: a database inserts and compresses without the interpreter. An export
    may be larger than memory, so that of many no more is read ahead than of one. A caller that stops early closes this.
    """
    with closing(_read_ahead(_parts(files, read))) as all_parts:
        for _, of_file in groupby(all_parts, itemgetter(0)):
            parts = (_said(part) for _, part in of_file)
            opened = next(parts)
            yield opened and replace(opened, batches=parts)


_Part = tuple[int, Any]  # of the n-th file: see _parts
_T = TypeVar("_T")


def _parts(files: Sequence[FoundFile], read: Callable[[OpenedFile], Iterator[Batch]]) -> Iterator[_Part]:
    """Of each file the opened one or None, its batches, and the error that ended them."""
    for nth, file in enumerate(files):
        try:
            opened = open_file(file)
            yield nth, opened
            if opened is not None and opened.file.obstacle is None:
                for batch in read(opened):
                    yield nth, batch
        except Exception as error:  # noqa: BLE001 - of this file, and raised where this file is stored
            yield nth, error


def _said(part: _T | Exception) -> _T:
    if isinstance(part, Exception):
        raise part
    return part


def _read_ahead(parts: Iterator[_Part]) -> Generator[_Part]:
    thread = ThreadPoolExecutor(1, "reader")
    try:
        reading = deque(thread.submit(next, parts, None) for _ in range(AHEAD))
        while part := reading.popleft().result():
            reading.append(thread.submit(next, parts, None))
            yield part
    finally:
        thread.shutdown(cancel_futures=True)


def is_unchanged(file: FoundFile) -> bool:
    """Whether its size and time of change are still those that were seen."""
    try:
        seen = file.place.stat()
    except FileNotFoundError:
        return False
    return (seen.st_size, seen.st_mtime_ns) == (file.size_bytes, file.mtime_ns)
