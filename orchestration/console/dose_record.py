"""The dose record of one person, for a dose passport, a register or a new employer: a CSV file and a page to print."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

from ingest.problems import UserError
from ingest.site.config import load_site
from ingest.whole_file import write_whole
from orchestration.console.output_file import PRIVATE, check_outside_published
from orchestration.figures.dose_record import COLUMNS, cells, read_dose_record
from orchestration.figures.operator import read_addressees
from orchestration.one_file import as_one_file
from orchestration.pages.audiences import frame_of
from orchestration.pages.page import STATIC
from orchestration.publication.history import current_publication
from orchestration.publication.published_files import open_published
from orchestration.publication.snapshot import RESTRICTED, WAREHOUSE


def write_dose_record(root: Path, operator_id: str, file: Path) -> tuple[Path, Path]:
    """Write one person's record as FILE.csv and FILE.html; return both paths.

    Raises:
        SiteError: the site cannot be read.
        UserError: nothing is published, no operator has that operator_id, or the files may not be there.
        OSError: a file cannot be written.
    """
    site = load_site(root)
    table, page = file.with_name(f"{file.name}.csv"), file.with_name(f"{file.name}.html")
    for made in (table, page):
        check_outside_published(site, made)
    current = current_publication(site.published_dir)
    if current is None:
        raise UserError("Nothing was published yet, so there is no record: run `doseledger run` first.")
    people = {person.operator_id: person for person in read_addressees(current.folder / RESTRICTED)}
    if operator_id not in people:
        raise UserError(
            f"reference/operators.csv has no operator_id {operator_id!r}; give one of these: {', '.join(people)}."
        )
    person = people[operator_id]
    with open_published(current.folder / WAREHOUSE) as connection:
        connection.execute("set TimeZone = 'UTC'")
        entries = read_dose_record(connection, operator_id, ZoneInfo(site.config.timezone))
        frame = frame_of(connection, site.config, person.language or site.config.language)
    frame = replace(frame, names={operator_id: person.name} if person.name else {}, is_narrow=True)
    html = frame.page("dose_record.html", "dose_record.html.j2", operator_id=operator_id, entries=entries).html
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerows(
        [("operator_id", *COLUMNS), *((operator_id, *cells(entry)) for entry in entries)]
    )
    # With a byte order mark: Excel takes other CSV for the encoding of its own country.
    write_whole(table, written.getvalue().encode("utf-8-sig"), PRIVATE, at_most=PRIVATE)
    write_whole(page, as_one_file(html, (STATIC / "style.css").read_text("utf-8")).encode(), PRIVATE, at_most=PRIVATE)
    return table, page
