"""How an export would be read, without loading it: which source it is of, its first rows, counts, sums and problems.

It reads by ``reader.py``, so that a preview cannot differ from the load. Nothing is stored.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from operator import attrgetter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.dosimeters.description import SourceDescription
from ingest.dosimeters.reader import ignored_units, read_export, written_cells
from ingest.records import DoseRow, Finding, RejectedRow

FIRST_LINES = 8
MOST_PROBLEMS = 50
DAY_S = 86_400.0
LAST_INSTANT = datetime.max.replace(tzinfo=UTC)
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
        n_future: records that begin later than can be.
        n_near: records that begin within a day of one of the procedures.
        findings: oddities of the file as a whole.
        begin, end: first and last instant, UTC.
        sums_usv: exact sum of the values by quantity; of counters these are readings, and a sum means nothing.
        ignored_units: ignored columns that hold units, with these.
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
    n_future: int = 0
    n_near: int = 0
    findings: list[Finding] = field(default_factory=list)
    begin: datetime | None = None
    end: datetime | None = None
    sums_usv: defaultdict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    ignored_units: dict[str, list[str]] = field(default_factory=dict)
    problems: list[RejectedRow] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)


def preview_export(
    path: Path,
    source: SourceDescription,
    progress: Progress | None = None,
    latest: datetime = LAST_INSTANT,
    procedures: Sequence[tuple[datetime, datetime]] = (),
) -> Preview:
    """Read an export and keep what a person wants to see of it; memory stays bounded.

    Args:
        path: the file.
        source: how it is read.
        progress: told of the bytes read so far.
        latest: records that begin later are counted as future ones.
        procedures: begin and end of each procedure, in the order of their begin.

    Raises:
        Refused: it would be quarantined.
        OSError: the file cannot be read.
    """
    preview = Preview()
    is_near = _near(procedures)
    for batch in read_export(path, source):
        _add_rows(preview, batch.rows)
        preview.n_near += is_near(batch.rows["started_at"])
        preview.n_future += pc.sum(pc.greater(batch.rows["started_at"], latest), min_count=0).as_py()
        preview.findings += batch.findings
        preview.reasons.update(row.reason for row in batch.rejected)
        preview.problems += batch.rejected[: MOST_PROBLEMS - len(preview.problems)]
        if progress:
            progress(batch.bytes_read)
    preview.ignored_units = ignored_units(path, source)
    preview.written = written_cells(path, source, {row.line for row in preview.first})
    return preview


def _near(procedures: Sequence[tuple[datetime, datetime]]) -> Callable[[pa.ChunkedArray], int]:
    """Counts the instants that are within a day of a procedure."""
    begins = np.array([begin.timestamp() for begin, _ in procedures])
    latest_ends = np.maximum.accumulate([end.timestamp() for _, end in procedures]) if procedures else begins

    def count(instants: pa.ChunkedArray) -> int:
        seconds = pc.cast(pc.cast(instants.drop_null(), pa.timestamp("us", "UTC")), pa.int64()).to_numpy() / 1e6
        n_begun = np.searchsorted(begins, seconds + DAY_S, side="right")  # begun a day after the instant, or earlier
        ended_late_enough = latest_ends[n_begun[n_begun > 0] - 1] >= seconds[n_begun > 0] - DAY_S
        return int(ended_late_enough.sum())

    return count


def _add_rows(preview: Preview, rows: pa.Table) -> None:
    if not preview.first and rows:
        first_lines = pa.array(np.unique(rows["line"])[:FIRST_LINES])
        first = rows.filter(pc.is_in(rows["line"], first_lines))
        preview.first = sorted(DoseRow.listed(first), key=attrgetter("line"))
    preview.n_rows += len(rows)
    preview.badges.update(_counted(rows["dosimeter_serial"]))
    preview.hubs.update(_counted(rows["hub"].drop_null()))
    preview.n_ambiguous += pc.sum(rows["is_ambiguous"], min_count=0).as_py()
    preview.tokens += rows["token"].length() - rows["token"].null_count
    for quantity in rows["quantity"].unique().to_pylist():
        doses = rows["value_usv"].filter(pc.equal(rows["quantity"], quantity))
        preview.sums_usv[quantity] += pc.sum(doses, min_count=0).as_py()
    timed = rows.filter(rows["started_at"].is_valid())
    begins, ends = timed["started_at"], pc.coalesce(timed["ended_at"], timed["started_at"])
    preview.begin = min(filter(None, [preview.begin, pc.min(begins).as_py()]), default=None)
    preview.end = max(filter(None, [preview.end, pc.max(ends).as_py()]), default=None)


def _counted(names: pa.ChunkedArray) -> dict[str, int]:
    return {each["values"]: each["counts"] for each in pc.value_counts(names).to_pylist()}
