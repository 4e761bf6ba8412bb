"""What events of all kinds of report share: identity, start, numbers, coded names, and the check of concept schemes.

What differs between projection, CT and enhanced reports is in their modules.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ingest.dose_reports.codes import EVENT_CONTAINERS, EVENT_UID, KNOWN_DCM_VALUES, STARTED, Concepts, Quantity
from ingest.dose_reports.times import parse_date_time, parse_offset
from ingest.dose_reports.tree import Children, Code
from ingest.dose_reports.values import Reading
from ingest.records import IrradiationEvent, TimeRule


@dataclass(frozen=True, slots=True)
class Start:
    """DateTime Started: as written, as local time without zone, minutes east of UTC, and which rule gave these."""

    raw: str | None
    local: datetime | None
    utc_offset_min: int | None
    rule: TimeRule


def read_start(
    children: Children, header_offset_min: int | None, reading: Reading, concepts: Concepts = STARTED
) -> Start:
    """When an event started; the offset is the value's own suffix, else the header's, else left to the room's zone."""
    rule: TimeRule = "zone" if header_offset_min is None else "header_offset"
    field = f"{concepts[0][1]} {concepts[0][0]}"
    written = reading.text(children, concepts)
    parsed = None if written is None else parse_date_time(written)
    if parsed is None:
        if written is not None:
            reading.findings.add("unreadable_time", f"{field} is no date and time", field)
        return Start(written, None, header_offset_min, rule)
    local, suffix = parsed
    if suffix is None:
        return Start(written, local, header_offset_min, rule)
    offset = parse_offset(suffix)
    if offset is None:
        reading.findings.add("unreadable_offset", f"{field} has an impossible UTC offset", field)
        return Start(written, local, header_offset_min, rule)
    return Start(written, local, offset, "suffix")


def read_numbers(children: Children, quantities: Iterable[Quantity], reading: Reading) -> dict[str, Any]:
    """Each quantity by its column: a Decimal, or None where it is not stated for certain."""
    return {quantity.column: reading.number(children, quantity) for quantity in quantities}


def read_name(children: Children, concepts: Concepts, names: Mapping[Code, str]) -> str | None:
    """A coded item on which no decision depends: its name in the table, else ``SCHEME:code``.

    None if there is none or more than one.
    """
    codes = {code for item in children.find(concepts) if (code := item.code) is not None}
    if len(codes) != 1:
        return None
    code = codes.pop()
    return names.get(code, f"{code[0]}:{code[1]}")


def read_uid(children: Children, reading: Reading) -> str:
    """The event's own UID, or an empty text where it has none that is legal: ``with_uids`` then makes one."""
    return reading.uid(children, EVENT_UID) or ""


def with_uids(
    events: Iterable[IrradiationEvent], device_serial: str | None, study: str, reading: Reading
) -> tuple[IrradiationEvent, ...]:
    """Give each event a UID that no other irradiation has, the same in every later report of it.

    An event without UID gets a hash of what distinguishes it from others. Several of one report that share a UID though
    plane or start differ (both planes of a biplane exposure) are several irradiations: the first keeps the UID.

    Args:
        events: of one report, in document order.
        device_serial: of the device, or None.
        study: what names the study: a device repeats its protocols, so events without a start are distinguished by it.
        reading: where a shared UID is noted.
    """
    made: Counter[str] = Counter()
    keepers: dict[str, IrradiationEvent] = {}
    result = []
    for event in events:
        where_and_when = (event.plane, event.started_raw)
        keeper = keepers.setdefault(event.event_uid, event)
        if not event.event_uid:
            scope = (device_serial,) if event.started_raw else (device_serial, study)
            digest = _digest(*scope, *where_and_when, event.kap_gy_cm2, event.dlp_mgy_cm, event.kvp)
            made[digest] += 1  # those that cannot be distinguished get a number, so that no dose is lost
            event = event._replace(event_uid=f"made-{digest}-{made[digest]}", is_uid_made=True)
        elif (keeper.plane, keeper.started_raw) != where_and_when:
            reading.findings.add(
                "shared_uid", "irradiation events share one UID and are distinguished by plane and start"
            )
            uid = f"made-{_digest(event.event_uid, *where_and_when)}-1"
            event = event._replace(event_uid=uid, is_uid_made=True)
        elif event is not keeper and event._replace(event_no=keeper.event_no) != keeper:
            reading.findings.add(
                "repeated_uid", "an irradiation event is listed twice with different values: the first counts"
            )
        result.append(event)
    return tuple(result)


def _digest(*facts: object) -> str:
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:32]


def count_stated(children: Children) -> int:
    """How many event containers a content tree has, at any depth and with any code scheme.

    This does not depend on what is read of them: it is what the read events are compared with.
    """
    return sum(
        1 if item.concept is not None and item.concept[1] in EVENT_CONTAINERS else count_stated(item.children)
        for item in children.items
    )


def note_unknown_schemes(children: Children, reading: Reading) -> None:
    """A finding for each item whose code value is one that is read but whose scheme is not DCM: it is not read."""
    for scheme, value in children.concepts():
        if value in KNOWN_DCM_VALUES and scheme != "DCM":
            name = f"{value} {scheme}"
            reading.findings.add("unknown_scheme", f"{name} is not read: its scheme is not DCM", name)
