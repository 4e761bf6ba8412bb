"""Configuration of a web server in front of the pages: which login sees which folder of the current publication.

Text from data only; the servers' own language is in ``web_servers/``. How it is installed: docs/operations/web.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ingest.cells import Value
from ingest.problems import SiteError, UserError
from ingest.site.config import Site
from ingest.site.reference import TABLES_BY_NAME
from ingest.whole_file import write_whole
from orchestration.figures.operator import page_folder
from orchestration.pages.audiences import DEPARTMENT_HEAD, OCCUPATIONAL_PHYSICIAN, OPERATORS, PHYSICS
from orchestration.publication.history import CURRENT

Server = Literal["nginx", "apache"]

# Medical physics may read warehouse.duckdb, from which every operator's page is made.
FOLDERS_OF_ROLE: Mapping[str, tuple[Path, ...]] = {
    "physics": (PHYSICS, OPERATORS),
    "occupational_physician": (OCCUPATIONAL_PHYSICIAN,),
    "department": (DEPARTMENT_HEAD,),
}
PAGE_LOGINS = TABLES_BY_NAME["page_logins"]
# What both servers read as plain text between quotes: no variable, escape or wildcard.
PLAIN_PATH = r"/[\w./ +,@=-]*"
# A folder's name, and the kinds of file that pages are made of; no name begins with a dot.
FOLDERS_INSIDE, PAGE_FILE = r"(?:[\w-][\w.-]*/)*", r"[\w-][\w.-]*\.(?:html|css|js|csv)"
POLICY = "default-src 'self'; style-src 'self'; img-src 'self' data:"


@dataclass(frozen=True, slots=True)
class Grant:
    """A login that may see a folder of the publication, and all pages in it."""

    login: str
    folder: Path


def grants_of(logins: Iterable[Mapping[str, Value]]) -> tuple[Grant, ...]:
    """List which folders each row of page_logins.csv opens; nothing else is opened to anybody."""
    return tuple(Grant(str(row["login"]), folder) for row in logins for folder in _folders(row))


def configuration(site: Site, server: Server, port: int, password_file: Path) -> str:
    """Write the configuration of a web server that listens on loopback and serves the pages of a site.

    Args:
        site: of page_logins.csv and the folder of the publications.
        server: whose language.
        port: on 127.0.0.1.
        password_file: names and hashes of passwords, by htpasswd.

    Raises:
        SiteError: a row of page_logins.csv is refused.
        UserError: there is no login, or a path that the web server would not read as it is.
    """
    logins = site.reference[PAGE_LOGINS.name]
    if logins.problems:
        raise SiteError(list(logins.problems))
    if not logins.rows:
        raise UserError(f"{PAGE_LOGINS.file} names no login; add a row for each person who may see pages.")
    return _TEMPLATES.get_template(f"{server}.conf.j2").render(
        site_id=site.config.site_id,
        grants=grants_of(logins.rows),
        current=_plain(site.published_dir.resolve() / CURRENT),
        password_file=_plain(password_file.absolute()),
        port=port,
        folders_inside=FOLDERS_INSIDE,
        page_file=PAGE_FILE,
        policy=POLICY,
    )


def write_configuration(text: str, file: Path) -> None:
    """Write a configuration in place of the one before; the group may read it, for it names who works here.

    Raises:
        UserError: it cannot be written; what was there is unchanged.
    """
    try:
        write_whole(file, text.encode(), 0o640, at_most=0o640)
    except OSError as error:
        raise UserError(f"{file} cannot be written ({error.strerror}); name another file with -o.") from None


def sentences(site: Site) -> list[str]:
    """State who has a login, and what this configuration alone does not open."""
    logins = site.reference[PAGE_LOGINS.name].rows
    with_login = {row["operator_id"] for row in logins} - {None}
    n_operators = len(site.reference["operators"].rows)
    found = [f"{len(logins)} logins; {len(with_login)} of {n_operators} operators have one."]
    if any(row["role"] == "occupational_physician" for row in logins):
        found.append(
            "restricted/pages is readable only for the account that runs DoseLedger: the web server must run as it"
            " (docs/operations/web.md), or the occupational physician gets 403."
        )
    return found


def _folders(login: Mapping[str, Value]) -> tuple[Path, ...]:
    if login["operator_id"] is not None:
        return (OPERATORS / page_folder(str(login["operator_id"])),)
    return FOLDERS_OF_ROLE[str(login["role"])]


def _plain(path: Path) -> Path:
    if not re.fullmatch(PLAIN_PATH, str(path)):
        raise UserError(f"{path}: a web server reads some characters of this path as its own signs; use another path.")
    return path


_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("web_servers")),
    autoescape=False,  # noqa: S701 - no HTML; every value is of a closed set of characters
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
_TEMPLATES.filters["regex"] = lambda text: re.escape(str(text))
