"""The page of any procedure of the current publication as one file, outside of what is published."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ingest.problems import UserError
from ingest.site.config import load_site
from ingest.whole_file import write_whole
from orchestration.console.output_file import PRIVATE, check_outside_published
from orchestration.figures.operator import read_addressees
from orchestration.figures.procedure_names import procedure_named
from orchestration.one_file import as_one_file
from orchestration.pages.audiences import frame_of
from orchestration.pages.page import STATIC
from orchestration.pages.procedure import procedure_pages
from orchestration.publication.history import current_publication
from orchestration.publication.published_files import open_published
from orchestration.publication.snapshot import RESTRICTED, WAREHOUSE


def write_procedure_page(root: Path, name: str, file: Path) -> str:
    """Write the page of a procedure into a file of its own; return the procedure_id.

    Raises:
        SiteError: the site cannot be read.
        UserError: nothing is published, no or several procedures have that name, or the file may not be there.
        OSError: the file cannot be written.
    """
    site = load_site(root)
    check_outside_published(site, file)
    current = current_publication(site.published_dir)
    if current is None:
        raise UserError("Nothing was published yet, so there is no procedure: run `doseledger run` first.")
    people = read_addressees(current.folder / RESTRICTED)
    names = {person.operator_id: person.name for person in people if person.name}
    with open_published(current.folder / WAREHOUSE) as connection:
        connection.execute("set TimeZone = 'UTC'")
        procedure_id = procedure_named(connection, name)
        frame = replace(frame_of(connection, site.config, site.config.language), names=names)
        (page,) = procedure_pages(connection, frame, [procedure_id])
    html = as_one_file(page.html, (STATIC / "style.css").read_text("utf-8"))
    write_whole(file, html.encode(), PRIVATE, at_most=PRIVATE)
    return procedure_id
