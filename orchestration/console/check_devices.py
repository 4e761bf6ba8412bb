"""Devices whose dose reports fit no room: named by ``doseledger check`` from what was read, or from the inbox itself.

Which room a report belongs to is decided in dbt; here only devices that are not in today's rooms.csv are listed.
"""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from ingest.problems import Problem, did_you_mean
from ingest.pseudonymise import load_key
from ingest.raw.build_db import read_build
from ingest.raw.file_ledger import find_dose_reports
from ingest.raw.read_ahead import open_report
from ingest.records import DoseReport
from ingest.site.config import Site

SAMPLED_REPORTS = 50  # reports of the inbox, where nothing was read yet


class Device(NamedTuple):
    """The identifiers of a dose report by which a room is found, as columns of rooms.csv; None: not stated."""

    device_serial: str | None
    station_name: str | None
    ae_title: str | None
    physical_location: str | None


def unmatched_devices(site: Site) -> list[Problem]:
    """One problem for each device of an interventional room that no row of rooms.csv fits, the most frequent first."""
    devices = _built_devices(site) if site.build_db.exists() else None
    if devices is None:
        devices = Counter(_inbox_devices(site))
    return [_problem(device, count, site) for device, count in devices.most_common() if not _is_known(device, site)]


def _built_devices(site: Site) -> Counter[Device] | None:
    """Dose reports by device, as the last build has them; None if there was none."""
    with read_build(site, load_key(site.config.site_id, os.environ)) as con:
        if not con.execute(_IS_BUILT).fetchall():
            return None
        return Counter({Device(*identifiers): count for *identifiers, count in con.execute(_DEVICES).fetchall()})


def _inbox_devices(site: Site) -> Iterator[Device]:
    for file in islice(find_dose_reports(site), SAMPLED_REPORTS):
        opened = open_report(file)
        if opened is None or not isinstance(opened.report, DoseReport):
            continue
        report = opened.report
        if any(event.event_type == "fluoroscopy" for event in report.events):
            serial = report.device_serial or report.device_serial_sr
            yield Device(serial, report.station_name, report.ae_title, report.physical_location)


def _is_known(device: Device, site: Site) -> bool:
    return any(folded(value) in _values(site, column) for column, value in device._asdict().items() if value)


def _values(site: Site, column: str) -> dict[str, str]:
    """The values of one column of rooms.csv as written, by their folded form."""
    values = (row[column] for row in site.reference["rooms"].rows)
    return {folded(value): value for value in values if isinstance(value, str)}


def folded(value: str) -> str:
    """As the models compare identifiers (the macro ``folded``): trimmed, case and accents ignored."""
    letters = unicodedata.normalize("NFD", value.strip().lower())
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


def _problem(device: Device, count: int, site: Site) -> Problem:
    stated = {column: value for column, value in device._asdict().items() if value}
    shown = ", ".join(f"{column} {value}" for column, value in stated.items()) or "no identifier"
    near = ((column, did_you_mean(value, _values(site, column).values())) for column, value in stated.items())
    meant = next((f" (did you mean {column} {value}?)" for column, value in near if value), "")
    return Problem(
        "reference/rooms.csv",
        None,
        None,
        f"{count} dose reports with {shown} fit no room{meant}; add the room or correct its identifier",
        "unknown_room",
    )


_DEVICES = """
    select device_serial, station_name, ae_title, physical_location, reports
    from ledger.unmatched_device
    where procedures > 0
"""
_IS_BUILT = "from duckdb_tables() where schema_name = 'ledger' and table_name = 'unmatched_device'"
