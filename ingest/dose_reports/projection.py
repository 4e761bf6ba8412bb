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
from ingest.records import Filter, IrradiationEvent, Plane, Total

StatedPlane = Literal["single", "A", "B", "all"]
_PLANES: dict[Code, StatedPlane] = {**codes.PLANES, codes.ALL_PLANES: "all"}


class Stated(NamedTuple):
    """A total as one container states it."""

    plane: StatedPlane
    quantity: str
    value: Decimal


def read_totals(root: Children, reading: Reading) -> tuple[Total, ...]:
    """The totals that the report states, once per plane and quantity (units: ``records.Total``)."""
    stated = []
    for container in root.find(codes.ACCUMULATED_PROJECTION):
        plane = reading.coded(container.children, codes.PLANE, _PLANES) or "single"
        stated += stated_totals(container.children, plane, codes.PROJECTION_TOTALS, reading)
    return settled(stated, reading)


def stated_totals(
    children: Children, plane: StatedPlane, quantities: Iterable[codes.Quantity], reading: Reading
) -> list[Stated]:
    """What one accumulated container states, breast dose included."""
    events.note_unknown_schemes(children, reading)
    numbers = events.read_numbers(children, quantities, reading)
    totals = [Stated(plane, quantity, value) for quantity, value in numbers.items() if value is not None]
    return totals + _breast_totals(children, plane, reading)


def _breast_totals(children: Children, plane: StatedPlane, reading: Reading) -> list[Stated]:
    """Accumulated average glandular dose (mGy) of each breast; the breast is stated by a child of the value."""
    totals = []
    for item in children.find(codes.BREAST_TOTAL.concepts):
        value = reading.number(Children([item]), codes.BREAST_TOTAL)
        side = reading.coded(item.children, codes.LATERALITY, codes.LATERALITIES)
        if value is not None and side is not None:
            totals.append(Stated(plane, f"agd_{side}", value))
        elif value is not None:
            reading.findings.add("unknown_side", "111637 DCM does not state which breast", "111637 DCM")
            totals.append(Stated(plane, "agd", value))
    return totals


def settled(stated: list[Stated], reading: Reading) -> tuple[Total, ...]:
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
    filters = read_filters(children.find(codes.FILTERS), reading)
    orientation = [children, *(item.children for item in children.find(codes.ORIENTATION))]
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
        copper_filter_mm=copper_mm(filters),
        filters=filters,
        fluoro_mode=events.read_name(children, codes.FLUORO_MODE, codes.FLUORO_MODES),
        reference_point=events.read_name(children, codes.REFERENCE_POINT, codes.REFERENCE_POINTS),
        patient_table_relationship=events.read_name(children, codes.TABLE_RELATIONSHIP, codes.TABLE_RELATIONSHIPS),
        patient_orientation=events.read_name(children, codes.ORIENTATION, codes.ORIENTATIONS),
        patient_orientation_modifier=next(
            filter(None, (events.read_name(at, codes.ORIENTATION_MODIFIER, codes.ORIENTATIONS) for at in orientation)),
            None,
        ),
        acquisition_protocol=reading.text(children, codes.PROTOCOL),
        target_region=events.read_name(children, codes.TARGET_REGION, codes.REGIONS),
        laterality=breast_side(children, reading),
        has_breast_item=bool(children.find((*codes.BREAST_COMPRESSION, *codes.BREAST_DOSE))),
        **events.read_numbers(children, codes.PROJECTION_NUMBERS, reading),
    )


def _event_plane(children: Children, reading: Reading) -> Plane:
    plane = reading.coded(children, codes.PLANE, _PLANES) or "single"
    return "single" if plane == "all" else plane


def breast_side(children: Children, reading: Reading) -> str | None:
    """Left or right, stated by the event itself or below its anatomy or target region."""
    places = [children, *(item.children for item in children.find((*codes.ANATOMY, *codes.TARGET_REGION)))]
    sides = {reading.coded(place, codes.LATERALITY, codes.LATERALITIES) for place in places} - {None}
    return sides.pop() if len(sides) == 1 else None


def read_filters(containers: Iterable[Item], reading: Reading) -> tuple[Filter, ...]:
    """The filters in the beam in document order; a filter that the report states to be absent is ``none`` with 0 mm."""
    return tuple(_filter(container.children, reading) for container in containers)


def _filter(children: Children, reading: Reading) -> Filter:
    if {item.code for item in children.find(codes.FILTER_TYPE)} & codes.NO_FILTER:
        return Filter(material="none", minimum_mm=Decimal(0), maximum_mm=Decimal(0))
    return Filter(
        material=events.read_name(children, codes.FILTER_MATERIAL, codes.MATERIALS),
        minimum_mm=reading.number(children, codes.FILTER_MINIMUM),
        maximum_mm=reading.number(children, codes.FILTER_MAXIMUM),
    )


def copper_mm(filters: Iterable[Filter]) -> Decimal | None:
    """Copper in the beam (mm): the sum over copper filters, 0 where the report states that there is no filter.

    Filters of other materials only give no value for copper.
    """
    copper = [f for f in filters if f["material"] in {"copper", "none"}]
    known = [t for f in copper if (t := f["minimum_mm"] if f["maximum_mm"] is None else f["maximum_mm"]) is not None]
    return sum(known, Decimal(0)) if known and len(known) == len(copper) else None
