"""Enhanced X-ray dose reports (TID 10040): totals by X-ray source, event summaries, and details by windows of time.

Only what differs from the older templates is here; what a value means is in codes.py. Details are put to an event only
where its windows agree: nothing is computed from them.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from ingest.dose_reports import codes, events
from ingest.dose_reports.projection import breast_side, copper_mm, read_filters, settled, stated_totals
from ingest.dose_reports.tree import Children, Item
from ingest.dose_reports.values import Reading
from ingest.records import IrradiationEvent, Plane, Total

SourcePlane = Literal["single", "A", "B", "all"]

# TID 10041 names an X-ray source by free text. These name a plane, or both, for certain (without case and blanks).
_PLANES: dict[str, SourcePlane] = {
    **dict.fromkeys(("a", "planea", "sourcea", "tubea"), "A"),
    **dict.fromkeys(("b", "planeb", "sourceb", "tubeb"), "B"),
    **dict.fromkeys(("aandb", "a+b", "planeaandb", "planesaandb", "allplanes", "bothplanes"), "all"),
}
_NUMBERS = {quantity.column: quantity for quantity in (*codes.CT_NUMBERS, *codes.PROJECTION_NUMBERS)}.values()
_TECHNIQUE = ("kvp", "tube_current_ma")


class _Window(NamedTuple):
    """A stretch of time of one X-ray source, and what was so during it."""

    source: str
    begin: timedelta
    end: timedelta
    children: Children


def read_totals(root: Children, reading: Reading) -> tuple[Total, ...]:
    """The totals that the report states, once per plane and quantity (units: ``records.Total``)."""
    planes = _planes(root, reading)
    stated = []
    for container in root.find(codes.ACCUMULATED_ENHANCED):
        children = container.children.flattened(codes.ENHANCED_PARTS)
        plane = planes[_source(children, reading)]
        if plane is None:
            _note_unknown_plane(reading)
        else:
            stated += stated_totals(children, plane, (*codes.PROJECTION_TOTALS, *codes.CT_TOTALS), reading)
    return settled(stated, reading)


def read_events(root: Children, header_offset_min: int | None, reading: Reading) -> list[IrradiationEvent]:
    """The event summaries in document order, numbered from 1, with the technique and filters of their time."""
    planes = _planes(root, reading)
    is_ct = reading.coded(root, codes.PROCEDURE_REPORTED, codes.MODALITIES) == "ct"
    details = [item.children for item in root.find(codes.IRRADIATION_DETAILS)]
    technique = list(_windows(details, codes.TECHNIQUE, header_offset_min, reading))
    filtration = list(_windows(details, codes.FILTRATION, header_offset_min, reading))
    result = []
    for no, item in enumerate(root.find(codes.ENHANCED_EVENT), start=1):
        children = item.children.flattened(codes.ENHANCED_PARTS)
        events.note_unknown_schemes(children, reading)
        start = events.read_start(children, header_offset_min, reading)
        numbers = events.read_numbers(children, _NUMBERS, reading)
        span = _window(children, header_offset_min, reading)
        _add_technique(numbers, _during(span, technique), reading)
        filters = read_filters(children.find(codes.FILTERS) or _filters_of(_during(span, filtration)), reading)
        plane = planes[_source(children, reading)]
        if plane is None:  # KAP adds over planes whatever they are called; air kerma is of one plane
            _note_unknown_plane(reading)
            numbers["ka_r_mgy"] = None
        result.append(
            IrradiationEvent(
                event_no=no,
                event_uid=events.read_uid(children, reading),
                is_uid_made=False,
                plane=_of_event(plane),
                event_type="ct_acquisition"
                if is_ct
                else reading.coded(children, codes.EVENT_TYPE, codes.EVENT_TYPES) or "other",
                started_raw=start.raw,
                started_local=start.local,
                utc_offset_min=start.utc_offset_min,
                time_rule=start.rule,
                copper_filter_mm=copper_mm(filters),
                filters=filters,
                acquisition_protocol=reading.text(children, codes.PROTOCOL),
                target_region=events.read_name(children, codes.TARGET_REGION, codes.REGIONS),
                ctdi_phantom=reading.coded(children, codes.CTDI_PHANTOM, codes.PHANTOMS),
                laterality=breast_side(children, reading),
                has_breast_item=bool(children.find((*codes.BREAST_COMPRESSION, *codes.BREAST_DOSE))),
                **numbers,
            )
        )
    return result


def _planes(root: Children, reading: Reading) -> dict[str, SourcePlane | None]:
    """The plane of each X-ray source by its name; the only source is the single one, others are None."""
    containers = root.find((*codes.ACCUMULATED_ENHANCED, *codes.ENHANCED_EVENT))
    sources = {_source(container.children, reading) for container in containers}
    lonely: SourcePlane | None = "single" if len([s for s in sources if _PLANES.get(s) != "all"]) == 1 else None
    return {source: _PLANES.get(source, lonely) for source in sources}


def _source(children: Children, reading: Reading) -> str:
    """The name of the X-ray source, without case and blanks; empty if there is none."""
    return "".join((reading.text(children, codes.X_RAY_SOURCE) or "").lower().split())


def _of_event(plane: SourcePlane | None) -> Plane:
    return "single" if plane is None or plane == "all" else plane


def _note_unknown_plane(reading: Reading) -> None:
    reading.findings.add(
        "unknown_plane", "the name of an X-ray source (113832 DCM) does not tell its plane", "113832 DCM"
    )


def _windows(
    details: Iterable[Children], concepts: codes.Concepts, header_offset_min: int | None, reading: Reading
) -> Iterable[_Window]:
    for children in details:
        for item in children.find(concepts):
            window = _window(item.children, header_offset_min, reading)
            if window is not None:
                yield window


def _window(children: Children, header_offset_min: int | None, reading: Reading) -> _Window | None:
    """The time that items are about, begin and end; None if either is not readable."""
    begin, end = (events.read_start(children, header_offset_min, reading, c) for c in (codes.STARTED, codes.ENDED))
    if begin.local is None or end.local is None:
        return None
    return _Window(_source(children, reading), _instant(begin), _instant(end), children)


def _instant(start: events.Start) -> timedelta:
    """Time since the first day of the calendar; by UTC where an offset is known, else by the device's clock."""
    assert start.local is not None  # noqa: S101 - asked before
    return (start.local - datetime.min) - timedelta(minutes=start.utc_offset_min or 0)  # noqa: DTZ901


def _during(span: _Window | None, windows: Iterable[_Window]) -> list[Children]:
    """What was so during an event, of the same source."""
    if span is None:
        return []
    return [w.children for w in windows if w.source == span.source and w.begin <= span.end and w.end >= span.begin]


def _add_technique(numbers: dict[str, Any], technique: list[Children], reading: Reading) -> None:
    """Tube voltage and current where the event's windows agree; what changes during an event is not stated."""
    for quantity in _NUMBERS:
        if quantity.column in _TECHNIQUE and numbers[quantity.column] is None:
            values = {reading.number(children, quantity) for children in technique} - {None}
            if len(values) == 1:
                numbers[quantity.column] = values.pop()
            elif values:
                concept = f"{quantity.concepts[0][1]} {quantity.concepts[0][0]}"
                reading.findings.add("several_values", f"{concept} changes during an irradiation event", concept)


def _filters_of(filtration: list[Children]) -> list[Item]:
    """The filters of the only window of an event; where they changed they are not known."""
    return filtration[0].find(codes.FILTERS) if len(filtration) == 1 else []
