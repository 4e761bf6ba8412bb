"""Projection X-ray (TID 10001 to 10007): totals of accumulated containers by plane, and irradiation events.

Fluoroscopy, radiography and mammography; CT lies in ct.py. Totals of one report are settled here, over reports in dbt.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Literal, NamedTuple

from ingest.dose_reports import codes, events
from ingest.dose_reports.tree import Children, Code, Item
from ingest.dose_reports.values import Reading
from ingest.records import IrradiationEvent, Plane, Total

StatedPlane = Literal["single", "A", "B", "all"]
_PLANES: dict[Code, StatedPlane] = {**codes.PLANES, codes.ALL_PLANES: "all"}


class Stated(NamedTuple):
    """A total as one container states it."""

    plane: StatedPlane
    quantity: str
    value: Decimal


def read_totals(root: Children, reading: Reading) -> tuple[Total, ...]:
    """The totals that the report states, once per plane and quantity (units: ``records.Total``)."""
    containers = root.find(codes.ACCUMULATED_PROJECTION)
    return _settled([stated for container in containers for stated in _stated(container.children, reading)], reading)


def _stated(children: Children, reading: Reading) -> list[Stated]:
    events.note_unknown_schemes(children, reading)
    plane = reading.coded(children, codes.PLANE, _PLANES) or "single"
    totals = [
        Stated(plane, quantity.column, value)
        for quantity in codes.PROJECTION_TOTALS
        if (value := reading.number(children, quantity)) is not None
    ]
    return totals + _breast_totals(children, plane, reading)


def _breast_totals(children: Children, plane: StatedPlane, reading: Reading) -> list[Stated]:
    """Accumulated average glandular dose (mGy) of each breast; the breast is said by a child of the value."""
    totals = []
    for item in children.find(codes.BREAST_TOTAL.concepts):
        value = reading.number(Children([item]), codes.BREAST_TOTAL)
        side = reading.coded(item.children, codes.LATERALITY, codes.LATERALITIES)
        if value is not None and side is not None:
            totals.append(Stated(plane, f"agd_{side}", value))
        elif value is not None:
            reading.findings.add("unknown_side", "111637 DCM does not say which breast", "111637 DCM")
    return totals


def _settled(stated: list[Stated], reading: Reading) -> tuple[Total, ...]:
    """One value per plane and quantity: contradicting ones are left out, and a sum over planes beside its planes."""
    per_plane = {(s.plane, s.quantity) for s in stated}
    totals = []
    for plane, quantity in dict.fromkeys((s.plane, s.quantity) for s in stated):
        values = {s.value for s in stated if (s.plane, s.quantity) == (plane, quantity)}
        if plane == "all" and per_plane & {("A", quantity), ("B", quantity), ("single", quantity)}:
            continue  # planes are added later: a sum over them beside them would count twice
        if len(values) > 1:
            message = f"{quantity} of plane {plane} is stated {len(values)} times with different values"
            reading.findings.add("several_values", message, quantity)
            continue
        totals.append(Total("single" if plane == "all" else plane, quantity, values.pop()))
    return tuple(totals)


def read_events(root: Children, header_offset_min: int | None, reading: Reading) -> list[IrradiationEvent]:
    """The irradiation events in document order, numbered from 1."""
    containers = root.find(codes.PROJECTION_EVENT)
    return [_event(no, item, header_offset_min, reading) for no, item in enumerate(containers, start=1)]


def _event(no: int, item: Item, header_offset_min: int | None, reading: Reading) -> IrradiationEvent:
    children = item.children
    events.note_unknown_schemes(children, reading)
    start = events.read_start(children, header_offset_min, reading)
    numbers = {quantity.column: reading.number(children, quantity) for quantity in codes.PROJECTION_NUMBERS}
    return IrradiationEvent(
        event_no=no,
        event_uid=events.read_uid(children, reading),
        is_uid_made=False,
        plane=_event_plane(children, reading),
        event_type=reading.coded(children, codes.EVENT_TYPE, codes.EVENT_TYPES) or "other",
        started_raw=start.raw,
        started_local=start.local,
        utc_offset_min=start.utc_offset_min,
        time_rule=start.rule,
        duration_s=numbers["duration_s"],
        number_of_pulses=numbers["number_of_pulses"],
        pulse_rate_per_s=numbers["pulse_rate_per_s"],
        exposure_time_ms=numbers["exposure_time_ms"],
        kap_gy_cm2=numbers["kap_gy_cm2"],
        ka_r_mgy=numbers["ka_r_mgy"],
        kvp=numbers["kvp"],
        tube_current_ma=numbers["tube_current_ma"],
        primary_angle_deg=numbers["primary_angle_deg"],
        secondary_angle_deg=numbers["secondary_angle_deg"],
        copper_filter_mm=_copper(children.find(codes.FILTERS), reading),
        collimated_field_area_cm2=numbers["collimated_field_area_cm2"],
        acquisition_protocol=reading.text(children, codes.PROTOCOL),
        target_region=events.read_region(children),
        agd_mgy=numbers["agd_mgy"],
        laterality=_breast_side(children, reading),
        has_breast_compression=bool(children.find(codes.BREAST_COMPRESSION)),
    )


def _event_plane(children: Children, reading: Reading) -> Plane:
    plane = reading.coded(children, codes.PLANE, _PLANES) or "single"
    return "single" if plane == "all" else plane


def _breast_side(children: Children, reading: Reading) -> str | None:
    """Left or right, said by the event itself or below its anatomy or target region."""
    places = [children, *(item.children for item in children.find((*codes.ANATOMY, *codes.TARGET_REGION)))]
    sides = {reading.coded(place, codes.LATERALITY, codes.LATERALITIES) for place in places} - {None}
    return sides.pop() if len(sides) == 1 else None


def _copper(filters: Iterable[Item], reading: Reading) -> Decimal | None:
    """Copper in the beam (mm): the sum over copper filters, 0 where the report says that there is no filter.

    Filters of other materials alone say nothing about copper.
    """
    thicknesses: list[Decimal | None] = []
    for container in filters:
        material = {item.code for item in container.children.find(codes.FILTER_MATERIAL)}
        kind = {item.code for item in container.children.find(codes.FILTER_TYPE)}
        if material & codes.COPPER:
            thicknesses.append(reading.number(container.children, codes.COPPER_THICKNESS))
        elif kind & codes.NO_FILTER:
            thicknesses.append(Decimal(0))
    known = [t for t in thicknesses if t is not None]
    return sum(known, Decimal(0)) if known and len(known) == len(thicknesses) else None
