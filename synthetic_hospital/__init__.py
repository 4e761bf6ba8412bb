"""A synthetic demo hospital: a whole site in the layout of the input contract, and the truth about it beside.

Belongs here: the one public function. The model is in hospital.py, what devices make of it in badges.py, *_files.py.
Does not belong here: anything that real sites need; nothing outside imports more than this function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from synthetic_hospital.badges import Readings, register
from synthetic_hospital.catalogue import PRESETS
from synthetic_hospital.expected import Expected
from synthetic_hospital.export_files import export_files, sources_of
from synthetic_hospital.hospital import Hospital, draw_hospital
from synthetic_hospital.report_files import report_files
from synthetic_hospital.site_files import csv_text, site_files
from synthetic_hospital.truth import HEADERS, README, Row, truth_tables

__all__ = ["PRESETS", "HospitalSummary", "truth_folder", "write_hospital"]

Progress = Callable[[str, int, int], None]


def _silent(_what: str, _done: int, _total: int) -> None:
    """Progress that nobody looks at."""


@dataclass(frozen=True, slots=True)
class HospitalSummary:
    """What was written: counts, the folders, and the last local date that a record has."""

    site: Path
    truth: Path
    preset: str
    seed: int
    procedures: int
    rooms: int
    operators: int
    irradiation_events: int
    inbox_files: int
    size_bytes: int
    last_day: date


def truth_folder(target: Path) -> Path:
    """Where the truth about the site in ``target`` is written: beside it, never inside."""
    return target.with_name(f"{target.name}_truth")


def write_hospital(
    target: Path,
    preset: str = "small",
    seed: int = 1,
    progress: Progress | None = None,
    *,
    names_hubs: bool = True,
    clock_fault_s: float = 0.0,
) -> HospitalSummary:
    """Write a synthetic site to ``target`` and its truth to ``<target>_truth``.

    The same arguments give the same bytes.

    Args:
        target: folder of the site; it and the truth folder must not exist or be empty.
        preset: a name in ``PRESETS``.
        seed: any whole number >= 0.
        progress: called with (what, done, total) as files are written.
        names_hubs: False leaves the hub out of the exports, so that nobody is told in which room a badge was.
        clock_fault_s: the clocks of the first department's badges are wrong by this.

    Raises:
        ValueError: the preset is unknown or the seed negative.
        FileExistsError: one of the two folders holds something already.
    """
    if preset not in PRESETS:
        raise ValueError(f"no preset {preset!r}: choose one of {', '.join(PRESETS)}")
    if seed < 0:
        raise ValueError(f"seed {seed} is negative: choose a whole number from 0")
    tell = progress or _silent
    site, truth = _Folder(target.absolute()), _Folder(truth_folder(target.absolute()))
    chosen = PRESETS[preset]
    dirt = replace(chosen.dirt, clock_fault_s=clock_fault_s)
    hospital = draw_hospital(replace(chosen, dirt=dirt, names_hubs=names_hubs), seed)
    readings = register(hospital)
    for path, text in site_files(hospital):
        site.write(path, text.encode())
    files = [*_write_reports(site, hospital, tell), *_write_exports(site, hospital, readings, tell)]
    truth.write("README.md", README.encode())
    for name, rows in truth_tables(Expected(hospital, readings), files):
        truth.write(f"{name}.csv", csv_text(HEADERS[name], rows).encode())
    return HospitalSummary(
        site=site.path,
        truth=truth.path,
        preset=preset,
        seed=seed,
        rooms=len(hospital.preset.rooms),
        operators=len(hospital.preset.operators),
        procedures=len(hospital.procedures),
        irradiation_events=sum(len(procedure.events) for procedure in hospital.procedures),
        inbox_files=len(files),
        size_bytes=site.size_bytes,
        last_day=max([hospital.preset.last_day, *(period.end for period in readings.periods)]),
    )


class _Folder:
    """A new folder that is filled file by file."""

    def __init__(self, path: Path) -> None:
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise FileExistsError(f"{path} exists already: choose a new folder or remove it")
        self.path = path
        self.size_bytes = 0

    def write(self, name: str, content: bytes) -> None:
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        self.size_bytes += len(content)


def _write_reports(site: _Folder, hospital: Hospital, progress: Progress) -> Iterator[Row]:
    """Write all reports; yields the rows of truth_file."""
    total = len(hospital.procedures)
    for done, reports in enumerate(report_files(hospital), start=1):
        for report in reports:
            site.write(report.path, report.content)
            yield report.path, None, "dose_report", report.expected_status, 0
        progress("dose reports", min(done, total), total)


def _write_exports(site: _Folder, hospital: Hospital, readings: Readings, progress: Progress) -> Iterator[Row]:
    """Write all exports; yields the rows of truth_file."""
    finished: set[str] = set()
    total = len(sources_of(hospital.preset))
    for export in export_files(hospital, readings):
        site.write(export.path, export.content)
        yield export.path, export.source_id, "dosimeter", export.expected_status, export.rows_rejected
        finished.add(export.source_id)
        progress("dosimeter exports", len(finished), total)
