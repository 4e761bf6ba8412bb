"""How an export would be read, without loading it: which source it is of, its first rows, counts, sums and problems.

Only looking lives here; reading is ``reader.py``'s, so that a preview cannot differ from the load. Nothing is stored.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from itertools import islice
from pathlib import Path

from ingest.dosimeters.description import SourceDescription
from ingest.dosimeters.reader import read_export, written_cells
from ingest.records import DoseRow, RejectedRow

FIRST_LINES = 8
MOST_PROBLEMS = 50
Progress = Callable[[int], None]


@dataclass(slots=True)
class Preview:
    """What loading an export would make of it.

    Attributes:
        first: records of the first readable lines, in the order of the file.
        written: the mapped cells of these lines as the file has them, by line and canonical column.
        n_rows: records, one per readable row and quantity.
        badges, hubs: records by name.
        tokens: records below detection.
        n_ambiguous: records at a local time that happens twice.
        begin, end: first and last instant, UTC.
        sums_usv: exact sum of the values by quantity; of counters these are readings, and a sum means nothing.
        problems: the first rejected rows.
        reasons: all rejected rows by reason.
    """

    first: list[DoseRow] = field(default_factory=list)
    written: dict[int, dict[str, str]] = field(default_factory=dict)
    n_rows: int = 0
    badges: Counter[str] = field(default_factory=Counter)
    hubs: Counter[str] = field(default_factory=Counter)
    tokens: int = 0
    n_ambiguous: int = 0
    begin: datetime | None = None
    end: datetime | None = None
    sums_usv: defaultdict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    problems: list[RejectedRow] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)


def preview_export(path: Path, source: SourceDescription, progress: Progress | None = None) -> Preview:
    """Read an export and keep what a person wants to see of it; memory stays bounded.

    Args:
        path: the file.
        source: how it is read.
        progress: told of the bytes read so far.

    Raises:
        Refused: it would be quarantined.
        OSError: the file cannot be read.
    """
    preview = Preview()
    for batch in read_export(path, source):
        _add_rows(preview, batch.rows)
        preview.reasons.update(row.reason for row in batch.rejected)
        preview.problems += batch.rejected[: MOST_PROBLEMS - len(preview.problems)]
        if progress:
            progress(batch.bytes_read)
    preview.written = written_cells(path, source, {row.line for row in preview.first})
    return preview


def _add_rows(preview: Preview, rows: list[DoseRow]) -> None:
    if not preview.first and rows:
        lines = set(islice(dict.fromkeys(sorted(row.line for row in rows)), FIRST_LINES))
        preview.first = sorted((row for row in rows if row.line in lines), key=lambda row: row.line)
    preview.n_rows += len(rows)
    for row in rows:
        preview.badges[row.dosimeter_serial] += 1
        preview.n_ambiguous += row.is_ambiguous
        preview.tokens += row.token is not None
        preview.sums_usv[row.quantity] += row.value_usv or 0
        if row.hub is not None:
            preview.hubs[row.hub] += 1
    begins = [row.started_at for row in rows if row.started_at is not None]
    ends = [row.ended_at or row.started_at for row in rows if row.started_at is not None]
    preview.begin = min([*begins, *([preview.begin] if preview.begin else [])], default=None)
    preview.end = max([*(end for end in ends if end), *([preview.end] if preview.end else [])], default=None)
