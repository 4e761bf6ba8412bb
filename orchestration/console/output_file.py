"""Where a command may write a file about people: not into what is published, which only runs write."""

from __future__ import annotations

from pathlib import Path

from ingest.problems import UserError
from ingest.site.config import Site

PRIVATE = 0o600  # it names people, or a patient's accession number


def check_outside_published(site: Site, file: Path) -> None:
    """Check that a file may be written.

    Raises:
        UserError: it is inside the published folder, is a folder, or its folder does not exist.
    """
    place = file.resolve()
    if place.is_relative_to(site.published_dir.resolve()):
        raise UserError(
            f"{file} is inside {site.published_dir}, which only runs write: what is published has its checks behind it."
            " Give a file elsewhere."
        )
    if place.is_dir() or not place.parent.is_dir():
        raise UserError(f"{file} is a folder, or its folder does not exist; give the name of a file to write.")
