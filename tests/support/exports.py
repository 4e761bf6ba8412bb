"""Small source descriptions and exports for the tests of the dosimeter reader."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from ingest.dosimeters.description import SourceDescription
from ingest.dosimeters.reader import read_export
from ingest.records import DoseRow, Finding, RejectedRow

COLUMNS: dict[str, dict[str, Any]] = {
    "rate_samples": {"dosimeter_serial": "badge", "started_at": "at", "hp10": "dose"},
    "hourly_totals": {"dosimeter_serial": "badge", "started_at": "at", "hp10": "dose"},
    "sessions": {"dosimeter_serial": "badge", "started_at": "at", "ended_at": "end", "hp10": "dose"},
    "counter_log": {"dosimeter_serial": "badge", "started_at": "at", "hp10": "dose"},
    "procedure_totals": {"dosimeter_serial": "badge", "accession_number": "acc", "hp10": "dose"},
    "badge_periods": {"dosimeter_serial": "badge", "period_begin": "from", "period_end": "to", "hp10": "dose"},
}


def keys(layout: str = "hourly_totals", **changes: Any) -> dict[str, Any]:
    """A legal description of that layout as YAML would give it, with some keys changed."""
    plain: dict[str, Any] = {
        "source_id": "test",
        "layout": layout,
        "encoding": "utf-8",
        "delimiter": ";",
        "decimal": ".",
        "timezone": "Europe/Madrid",
        "dst": True,
        "datetime_format": "iso8601",
        "sample_seconds": 1,
        "counter": "increment",
        "columns": COLUMNS[layout],
        "units": {"hp10": "uSv/h" if layout == "rate_samples" else "uSv"},
        "null_tokens": ["", "-"],
        "below_lod_tokens": ["M"],
        "unused_tokens": ["Unused"],
    }
    return plain | changes


def source(layout: str = "hourly_totals", **changes: Any) -> SourceDescription:
    return SourceDescription.model_validate(keys(layout, **changes))


class Said(NamedTuple):
    """Everything that a file says."""

    rows: list[DoseRow]
    rejected: list[RejectedRow]
    findings: list[Finding]


def read_whole(path: Path, description: SourceDescription) -> Said:
    said = Said([], [], [])
    for batch in read_export(path, description):
        said.rows.extend(DoseRow.listed(batch.rows))
        said.rejected.extend(batch.rejected)
        said.findings.extend(batch.findings)
    return said


def read(folder: Path, content: str | bytes, description: SourceDescription) -> Said:
    """Everything that a file of that content says."""
    path = folder / "export.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode(description.encoding))
    return read_whole(path, description)
