"""What a run would do with files that lie in the inbox: which it would refuse, which read again; what a site lacks.

Of exports only the first row is read, and only of those that no run has read; nothing is written.
"""

from __future__ import annotations

from collections.abc import Iterator

from ingest.dosimeters.reader import read_export
from ingest.problems import Problem
from ingest.raw.build_db import read_any_build
from ingest.raw.file_ledger import FoundFile, due, find_dose_reports, find_dosimeter_exports
from ingest.raw.published_path import own_path
from ingest.raw.stores import source_of
from ingest.records import Refused
from ingest.site.config import Site
from ingest.site.reference import TABLES

FILES_NAMED = 20
EXPORTS_OPENED = 50
# What a row of each required table is for.
ROWS = {
    "rooms": "add a row for each X-ray room, with the device serial or station name of its dose reports",
    "operators": "add a row for each member of staff who wears a badge",
    "dosimeters": "add a row for each badge, with who wears it and since when",
}


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


def unreadable_exports(site: Site) -> list[str]:
    """Why the newest exports that no run has read yet would be quarantined; of each source as many as are named."""
    if site.build_db.exists():
        with read_any_build(site) as con:
            known = {path for (path,) in con.execute("select path from raw.file").fetchall()}
    else:
        known = set()
    files = [
        file
        for file in find_dosimeter_exports(site)
        if file.ignored_by is None and not file.obstacle and file.size_bytes and own_path(file.name, None) not in known
    ]
    newest = sorted(files, key=lambda file: file.mtime_ns, reverse=True)[:EXPORTS_OPENED]
    sentences = [sentence for file in newest if (sentence := _refusal(file, site))]
    if len(files) > len(newest):
        sentences.append(f"Exports that were not opened, because newer ones were: {len(files) - len(newest):,}.")
    return sentences


def _refusal(file: FoundFile, site: Site) -> str | None:
    try:
        source = source_of(file.source_id, file.place.name, site)
    except Refused:  # misplaced_files names it
        return None
    try:
        next(read_export(file.place, source), None)
    except Refused as refused:
        return f"{own_path(file.name, None)} would be quarantined: {refused.reason}"
    except OSError as error:
        return f"{own_path(file.name, None)} cannot be read ({error.strerror})."
    return None


def left_to_fill_in(site: Site) -> list[str]:
    """What has to be filled in before a run can count anything."""
    empty = [
        f"{table.file} has no row yet: {ROWS[table.name]}."
        for table in TABLES
        if table.is_required and not site.reference[table.name].rows and not site.reference[table.name].problems
    ]
    if not site.sources:
        empty.append("sources/ has no description yet: `doseledger describe EXPORT` drafts one from an export.")
    elif not any(not file.ignored_by for file in find_dosimeter_exports(site)):
        empty.append(f"inbox/dosimeters/ has no export yet: put them into {_folders(site)}.")
    servers = site.config.dose_reports
    if not (servers.dicomweb or servers.dimse or servers.receive or find_dose_reports(site)):
        empty.append(f"{servers.folder}/ has no dose report yet, and site.yaml names no server of them (dose_reports).")
    return empty


def _folders(site: Site) -> str:
    return ", ".join(f"inbox/dosimeters/{source_id}/" for source_id in site.sources)


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
