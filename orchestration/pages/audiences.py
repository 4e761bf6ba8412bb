"""The pages of each audience, and the folders that they are written to; readers of a database may read its pages.

The navigation of an audience is the list of its pages here, so that no link leads to a page that does not exist.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb

from ingest.site.config import SiteConfig
from orchestration.figures.digest import read_class_names
from orchestration.figures.operator import page_folder, read_addressees
from orchestration.pages.classes import classes_page
from orchestration.pages.data import data_page
from orchestration.pages.department import department_page
from orchestration.pages.occupational_physician import occupational_physician_page
from orchestration.pages.operator_page import highest_procedures, operator_page
from orchestration.pages.page import STATIC, Edition, Frame, Link, Page, page_wording
from orchestration.pages.patients import patients_page
from orchestration.pages.people import people_page
from orchestration.pages.person import person_pages, read_people
from orchestration.pages.procedure import procedure_pages, procedure_path, procedures_with_page
from orchestration.pages.rooms import rooms_page
from orchestration.pages.today import today_page
from orchestration.pages.worklist import worklist
from orchestration.publication.published_files import open_published
from orchestration.publication.snapshot import DEPARTMENT, RESTRICTED, WAREHOUSE

PHYSICS = Path("pages/physics")
WORKLIST = "worklist.csv"
OPERATORS = Path("pages/operators")  # one folder each, so that a web server can give it to one person
OCCUPATIONAL_PHYSICIAN = Path("restricted/pages")
DEPARTMENT_HEAD = Path("department/pages")

# What medical physics reads, in the order of the navigation: path, key of its name, and the page's module.
PHYSICS_PAGES: tuple[tuple[str, str, Callable[[duckdb.DuckDBPyConnection, Frame], Page]], ...] = (
    ("index.html", "today", today_page),
    ("people.html", "people", people_page),
    ("rooms.html", "rooms", rooms_page),
    ("classes.html", "classes", classes_page),
    ("patients.html", "patients", patients_page),
    ("data.html", "data", data_page),
)


def write_pages(folder: Path, site: SiteConfig) -> None:
    """Write the pages of all audiences into the folder of a publication that is not public yet.

    Raises:
        OSError: the disk is full, or the folder cannot be written.
        duckdb.Error: a database of the folder is missing, or is not one of the output contract.
    """
    people = read_addressees(folder / RESTRICTED)
    names = {person.operator_id: person.name for person in people if person.name}
    with open_published(folder / WAREHOUSE) as connection:
        connection.execute("set TimeZone = 'UTC'")
        _write(folder / PHYSICS, physics_pages(connection, site, names))
        # With a byte order mark: Excel takes other CSV for the encoding of its own country.
        (folder / PHYSICS / WORKLIST).write_text(worklist(connection), encoding="utf-8-sig")
        # Words and edition only: who is not medical physics reads the data of the own database, and no names.
        frame = frame_of(connection, site, site.language)
        procedures = highest_procedures(connection)
        for person in people:
            own = replace(frame_of(connection, site, person.language or site.language), is_narrow=True)
            page = operator_page(connection, own, person.operator_id, procedures)
            _write(folder / OPERATORS / page_folder(person.operator_id), [page])
    with open_published(folder / RESTRICTED) as connection:
        _write(folder / OCCUPATIONAL_PHYSICIAN, [occupational_physician_page(connection, frame)])
    with open_published(folder / DEPARTMENT) as connection:
        _write(folder / DEPARTMENT_HEAD, [department_page(connection, frame)])


def physics_pages(connection: duckdb.DuckDBPyConnection, site: SiteConfig, names: dict[str, str]) -> Iterator[Page]:
    """List the pages of medical physics, in the site's language; the only ones that name people."""
    frame = frame_of(connection, site, site.language)
    navigation = tuple(Link(path, frame.say(f"frame.{name}")) for path, name, _ in PHYSICS_PAGES)
    procedures = procedures_with_page(connection)
    people = read_people(connection)
    of_people = map(frame.person_path, people)
    pages = frozenset((*(link.path for link in navigation), *map(procedure_path, procedures), *of_people))
    frame = replace(frame, navigation=navigation, names=names, pages=pages)
    for _, _, page in PHYSICS_PAGES:
        yield page(connection, frame)
    yield from procedure_pages(connection, frame, procedures)
    yield from person_pages(connection, frame, people)


def frame_of(connection: duckdb.DuckDBPyConnection, site: SiteConfig, language: str) -> Frame:
    """Read what every page of an audience shares."""
    edition = Edition(*connection.execute(_EDITION).fetchall()[0])
    words = page_wording(language, read_class_names(connection))
    return Frame(site.name, words, ZoneInfo(site.timezone), edition)


def _write(folder: Path, pages: Iterable[Page]) -> None:
    shutil.copytree(STATIC, folder / "static")
    for page in pages:
        file = folder / page.path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(page.html, encoding="utf-8")


_EDITION = """
    select run_id, as_of, published_at, checks_passed
    from ledger.publication
    order by rowid desc
    limit 1
"""
