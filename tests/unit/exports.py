"""Small source descriptions and exports for the tests of the dosimeter reader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ingest.dosimeters.description import SourceDescription
from ingest.dosimeters.reader import Batch, read_export

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


def read(folder: Path, content: str | bytes, description: SourceDescription) -> Batch:
    """Everything that a file of that content says."""
    path = folder / "export.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode(description.encoding))
    whole = Batch()
    for batch in read_export(path, description):
        whole.rows += batch.rows
        whole.rejected += batch.rejected
    return whole
