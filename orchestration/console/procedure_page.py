"""The page of any procedure of the current publication as one file, outside of what is published."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ingest.problems import UserError
from ingest.site.config import Site, load_site
from ingest.whole_file import write_whole
from orchestration.figures.operator import read_addressees
from orchestration.figures.procedure_names import procedure_named
from orchestration.one_file import as_one_file
from orchestration.pages.audiences import frame_of
from orchestration.pages.page import STATIC
from orchestration.pages.procedure import procedure_pages
from orchestration.publication.history import current_publication
from orchestration.publication.published_files import open_published
from orchestration.publication.snapshot import RESTRICTED, WAREHOUSE

MODE = 0o600  # it names people and a patient's accession number


def write_procedure_page(root: Path, name: str, file: Path) -> str:
    """Write the page of a procedure into a file of its own; return the procedure_id.

    Raises:
        SiteError: the site cannot be read.
        UserError: nothing is published, no or several procedures have that name, or the file may not be there.
        OSError: the file cannot be written.
    """
    site = load_site(root)
    _check_place(site, file)
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
    write_whole(file, html.encode(), MODE)
    return procedure_id


def _check_place(site: Site, file: Path) -> None:
    place = file.resolve()
    if place.is_relative_to(site.published_dir.resolve()):
        raise UserError(
            f"{file} is inside {site.published_dir}, which only runs write: what is published has its checks behind it."
            " Give a file elsewhere."
        )
    if place.is_dir() or not place.parent.is_dir():
        raise UserError(f"{file} is a folder, or its folder does not exist; give the name of a file to write.")
