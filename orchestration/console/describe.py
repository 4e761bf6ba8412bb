"""`describe`: a draft of a source description from an export, of rows of reference files from dose reports.

Names and writing only; ``ingest/dosimeters/draft.py`` drafts from an export.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ingest.control_characters import printable
from ingest.dose_reports import MAX_BYTES, is_dicom, read_dose_report
from ingest.dosimeters.description import CONFIRM
from ingest.dosimeters.draft import draft_description
from ingest.dosimeters.sample import take_sample
from ingest.problems import UserError
from ingest.records import DoseReport, Refused
from ingest.user_files import open_regular
from orchestration.console.procedure_classes import UNCLASSIFIED, Description, classes_of, count_descriptions

ROOM_COLUMNS = (
    "room_id",
    "name",
    "specialty",
    "station_name",
    "device_serial",
    "ae_title",
    "physical_location",
    "manufacturer",
    "model",
)
RULE_COLUMNS = ["priority", "field", "match", "pattern", "procedure_type", "specialty"]
OWN_PRIORITY = 100  # of drafted rules: behind those that a person writes first


def describe_files(place: Path, output: Path | None) -> str:
    """The draft, which is also written to ``output`` if that is given.

    Args:
        place: a dosimeter export, a dose report, or a folder of dose reports.
        output: a new file.

    Raises:
        UserError: nothing can be described, or the output exists or cannot be written.
    """
    text = _draft_of_reports(place) if place.is_dir() or _is_dicom(place) else _draft_of_export(place, output)
    if output is not None:
        try:
            with output.open("x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError:
            raise UserError(f"{output} exists and is not written over; choose another name.") from None
        except OSError as error:
            raise UserError(f"{output} cannot be written ({error.strerror}).") from None
    return text


def _is_dicom(place: Path) -> bool:
    try:
        return is_dicom(_bytes_of(place))
    except OSError as error:
        raise UserError(f"{place} cannot be read ({error.strerror}).") from None


def _bytes_of(place: Path) -> bytes:
    with open_regular(place) as content:
        return content.read(MAX_BYTES + 1)


def _draft_of_export(export: Path, output: Path | None) -> str:
    source_id = output.stem if output else _source_id(export)
    return draft_description(take_sample(export), source_id, f"*{export.suffix}" if export.suffix else "*")


def _source_id(export: Path) -> str:
    """The inbox folder in which the export lies, else its name without figures and signs."""
    folder = export.resolve().parent
    if folder.parent.name == "dosimeters":
        return folder.name
    return re.sub(r"[^A-Za-z]+", "_", export.stem).strip("_").lower() or "new_source"


# --- dose reports ---------------------------------------------------------------------------------------------------


def _draft_of_reports(place: Path) -> str:
    files = sorted(path for path in place.rglob("*") if path.is_file()) if place.is_dir() else [place]
    reports, n_refused = [], 0
    for file in files:
        try:
            reports.append(read_dose_report(_bytes_of(file)))
        except (Refused, OSError):
            n_refused += 1
    if not reports:
        what = "a folder that holds" if place.is_dir() else "a file that is"
        raise UserError(f"{place} is {what} no dose report that can be read ({n_refused} other files).")
    return "\n".join(
        [
            f"# {len(reports)} dose reports were read; {n_refused} other files were not.",
            f"# Rows for reference/rooms.csv: decide every {CONFIRM}, or leave out what is no room of the hospital.",
            *_csv_lines(ROOM_COLUMNS, _rooms(reports)),
            "",
            f"# Rows for reference/procedure_types.csv: decide every {CONFIRM}; descriptions with a class need no row.",
            *_csv_lines(RULE_COLUMNS, _rules(reports)),
            "",
        ]
    )


def _rooms(reports: Iterable[DoseReport]) -> Iterator[Sequence[str | None]]:
    """One row a device, the most frequent first."""
    devices = Counter(
        (
            report.station_name,
            report.device_serial or report.device_serial_sr,
            report.ae_title,
            report.physical_location,
            report.manufacturer,
            report.model,
        )
        for report in reports
    )
    for device, _ in devices.most_common():
        yield CONFIRM, None, CONFIRM, *device


def _rules(reports: Iterable[DoseReport]) -> Iterator[Sequence[str | None]]:
    """One row a description, those without a shipped class first, then the most frequent."""
    counted = count_descriptions(reports)
    classes = classes_of(list(counted), ())
    drafted = zip(counted.items(), classes, strict=True)
    for (description, _), (name, _) in sorted(drafted, key=lambda one: (one[1][0] != UNCLASSIFIED, -one[0][1])):
        field, value = _naming_text(description)
        if value is not None:
            yield str(OWN_PRIORITY), field, "exact", value, CONFIRM if name == UNCLASSIFIED else name, None


def _naming_text(description: Description) -> tuple[str, str | None]:
    return next(description.texts(), ("study_description", None))


def _csv_lines(header: Sequence[str], rows: Iterable[Sequence[str | None]]) -> Iterator[str]:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(dict.fromkeys(tuple(row) for row in rows))
    yield from map(printable, text.getvalue().splitlines())
