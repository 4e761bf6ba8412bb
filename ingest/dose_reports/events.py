"""What events of projection and CT share: identity, start, region, and the check of concept schemes.

What is special to projection or CT lies in their modules.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from ingest.dose_reports.codes import EVENT_UID, KNOWN_DCM_VALUES, REGIONS, STARTED, TARGET_REGION
from ingest.dose_reports.times import parse_date_time, parse_offset
from ingest.dose_reports.tree import Children
from ingest.dose_reports.values import Reading
from ingest.records import IrradiationEvent, TimeRule


@dataclass(frozen=True, slots=True)
class Start:
    """DateTime Started: as written, as local time without zone, minutes east of UTC, and which rule gave these."""

    raw: str | None
    local: datetime | None
    utc_offset_min: int | None
    rule: TimeRule


def read_start(children: Children, header_offset_min: int | None, reading: Reading) -> Start:
    """When an event started; the offset is the value's own suffix, else the header's, else left to the room's zone."""
    rule: TimeRule = "zone" if header_offset_min is None else "header_offset"
    written = reading.text(children, STARTED)
    parsed = None if written is None else parse_date_time(written)
    if parsed is None:
        if written is not None:
            reading.findings.add("unreadable_time", "DateTime Started (111526 DCM) is no date and time", "111526 DCM")
        return Start(written, None, header_offset_min, rule)
    local, suffix = parsed
    if suffix is None:
        return Start(written, local, header_offset_min, rule)
    offset = parse_offset(suffix)
    if offset is None:
        reading.findings.add("unreadable_offset", "DateTime Started has an impossible UTC offset", "111526 DCM")
        return Start(written, local, header_offset_min, rule)
    return Start(written, local, offset, "suffix")


def read_region(children: Children) -> str | None:
    """The target region: a name of codes.REGIONS, else ``SCHEME:code``; None if there is none or more than one."""
    codes = {code for item in children.find(TARGET_REGION) if (code := item.code) is not None}
    if len(codes) != 1:
        return None
    code = codes.pop()
    return REGIONS.get(code, f"{code[0]}:{code[1]}")


def read_uid(children: Children, reading: Reading) -> str:
    """The event's own UID, or an empty text where it has none that is legal: ``with_uids`` then makes one."""
    return reading.uid(children, EVENT_UID) or ""


def with_uids(events: Iterable[IrradiationEvent], device_serial: str | None) -> tuple[IrradiationEvent, ...]:
    """Give each event without UID a made one: a hash of what tells it from others, the same in every later report.

    Events of one report that cannot be told apart get a number, so that no dose is lost.
    """
    made: dict[str, int] = {}
    result = []
    for event in events:
        if event.event_uid:
            result.append(event)
            continue
        facts = (device_serial, event.started_raw, event.plane, event.kap_gy_cm2, event.dlp_mgy_cm, event.kvp)
        digest = hashlib.sha256(repr(facts).encode()).hexdigest()[:32]
        made[digest] = made.get(digest, 0) + 1
        uid = f"made-{digest}-{made[digest]}"
        result.append(replace(event, event_uid=uid, is_uid_made=True))
    return tuple(result)


def note_unknown_schemes(children: Children, reading: Reading) -> None:
    """A finding for each item whose code value is one that is read but whose scheme is not DCM: it is not read."""
    for scheme, value in children.concepts():
        if value in KNOWN_DCM_VALUES and scheme != "DCM":
            name = f"{value} {scheme}"
            reading.findings.add("unknown_scheme", f"{name} is not read: its scheme is not DCM", name)
