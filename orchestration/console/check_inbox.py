"""What a run would do with files that lie in the inbox: which it would refuse by place, name or size, which read again.

Opens no export and writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from ingest.problems import Problem
from ingest.raw.build_db import read_any_build
from ingest.raw.file_ledger import FoundFile, due, find_dose_reports, find_dosimeter_exports
from ingest.raw.published_path import own_path
from ingest.raw.stores import source_of
from ingest.records import Refused
from ingest.site.config import Site

FILES_NAMED = 20


def misplaced_files(site: Site) -> list[Problem]:
    """Files that would be refused for their place, name or size; of many the first, and how many more there are."""
    found = [*_misplaced(find_dosimeter_exports(site), site), *_empty(find_dose_reports(site))]
    more = len(found) - FILES_NAMED
    if more <= 0:
        return found
    return [
        *found[:FILES_NAMED],
        Problem("inbox", None, None, f"{more:,} more files would be refused for such reasons"),
    ]


def _misplaced(files: list[FoundFile], site: Site) -> Iterator[Problem]:
    for file in files:
        if file.ignored_by is not None:
            continue
        try:
            source_of(file.source_id, file.place.name, site)
        except Refused as refused:
            yield Problem(own_path(file.name, None), None, None, refused.reason)
        else:
            yield from _empty([file])


def _empty(files: list[FoundFile]) -> Iterator[Problem]:
    for file in files:
        if file.ignored_by is None and file.obstacle is None and file.size_bytes == 0:
            yield Problem(own_path(file.name, None), None, None, "is empty: perhaps it was not copied whole")


def files_to_read_again(site: Site) -> list[str]:
    """How many loaded files the next run would read again because the description of their source has changed."""
    if not site.build_db.exists():
        return []
    with read_any_build(site) as con:
        stale = due(con, site)
    return [
        f"sources/{source_id}.yaml has changed: {len(readings)} loaded files will be read again by the next run."
        for source_id, readings in stale.items()
    ]
