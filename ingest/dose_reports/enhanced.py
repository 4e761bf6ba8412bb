"""Enhanced X-ray dose reports (TID 10040): totals by X-ray source, event summaries, and details by windows of time.

Only the differences from the older templates are here; meanings of values are in codes.py. An event gets details only
where its windows agree: they are not added or averaged.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from datetime import datetime, timedelta
from typing import Literal, NamedTuple, cast

from ingest.dose_reports import codes, events
from ingest.dose_reports.projection import breast_side, copper_mm, read_filters, settled, stated_totals
from ingest.dose_reports.tree import Children
from ingest.dose_reports.values import Reading
from ingest.records import Filter, IrradiationEvent, Plane, Total

SourcePlane = Literal["single", "A", "B", "all"]

# TID 10041 names an X-ray source by free text. These name a plane, or both, for certain (without case and blanks).
_PLANES: dict[str, SourcePlane] = {
    **dict.fromkeys(("a", "planea", "sourcea", "tubea"), "A"),
    **dict.fromkeys(("b", "planeb", "sourceb", "tubeb"), "B"),
    **dict.fromkeys(("aandb", "a+b", "planeaandb", "planesaandb", "allplanes", "bothplanes"), "all"),
}
_NUMBERS = {quantity.column: quantity for quantity in (*codes.CT_NUMBERS, *codes.PROJECTION_NUMBERS)}.values()
_TECHNIQUE = [q for q in codes.PROJECTION_NUMBERS if q.column in ("kvp", "tube_current_ma")]
_FILTERS = "filters"
_CONCEPTS = {q.column: q.concepts[0] for q in _TECHNIQUE} | {_FILTERS: codes.FILTERS[0]}


class _Span(NamedTuple):
    """An interval of one X-ray source."""

    source: str
    begin: timedelta
    end: timedelta


class _Track(NamedTuple):
    """Values of one X-ray source over time: intervals of one value each, in order, without overlap."""

    begins: list[timedelta]
    ends: list[timedelta]
    values: list[object]

    def during(self, span: _Span) -> list[object]:
        """The value, or the first two where it changes, of an interval; none where no value is known."""
        found: list[object] = []
        at = bisect_left(self.ends, span.begin)
        while at < len(self.begins) and self.begins[at] <= span.end and len(found) < 2:
            begin, end, value = self.begins[at], self.ends[at], self.values[at]
            if (begin == span.begin or (begin < span.end and end > span.begin)) and value not in found:
                found.append(value)
            at += 1
        return found


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
    tracks = _tracks(root, header_offset_min, reading)
    result = []
    for no, item in enumerate(root.find(codes.ENHANCED_EVENT), start=1):
        children = item.children.flattened(codes.ENHANCED_PARTS)
        events.note_unknown_schemes(children, reading)
        start = events.read_start(children, header_offset_min, reading)
        numbers = events.read_numbers(children, _NUMBERS, reading)
        span = _span(children, header_offset_min, reading)
        for quantity in _TECHNIQUE:
            if numbers[quantity.column] is None:
                numbers[quantity.column] = _detail(tracks, quantity.column, span, reading)
        own = read_filters(children.find(codes.FILTERS), reading)
        filters = own or cast("tuple[Filter, ...]", _detail(tracks, _FILTERS, span, reading) or ())
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
        "unknown_plane", "the name of an X-ray source (113832 DCM) does not state its plane", "113832 DCM"
    )


def _tracks(root: Children, header_offset_min: int | None, reading: Reading) -> dict[tuple[str, str], _Track]:
    """By X-ray source and column: tube voltage and current, and filters, over time."""
    intervals: defaultdict[tuple[str, str], list[tuple[timedelta, timedelta, object]]] = defaultdict(list)
    for details in root.find(codes.IRRADIATION_DETAILS):
        for item in details.children.find((*codes.TECHNIQUE, *codes.FILTRATION)):
            span = _span(item.children, header_offset_min, reading)
            values: dict[str, object] = dict(events.read_numbers(item.children, _TECHNIQUE, reading))
            values[_FILTERS] = read_filters(item.children.find(codes.FILTERS), reading) or None
            for column, value in values.items():
                if span is not None and value is not None:
                    intervals[span.source, column].append((span.begin, span.end, value))
    return {key: track for key, found in intervals.items() if (track := _track(found, reading)) is not None}


def _track(intervals: list[tuple[timedelta, timedelta, object]], reading: Reading) -> _Track | None:
    """The intervals in order, adjacent ones of one value merged; None if any overlap, which the standard forbids."""
    track = _Track([], [], [])
    for begin, end, value in sorted(intervals, key=lambda interval: interval[:2]):
        if end < begin or (track.ends and begin < track.ends[-1]):
            reading.findings.add("overlapping_details", "windows of irradiation details overlap: they are not used")
            return None
        if track.values and (track.ends[-1], track.values[-1]) == (begin, value):
            track.ends[-1] = end
        else:
            track.begins.append(begin)
            track.ends.append(end)
            track.values.append(value)
    return track


def _detail(tracks: dict[tuple[str, str], _Track], column: str, span: _Span | None, reading: Reading) -> object:
    """Values of an event from the details; a value that changes during the event is not stated."""
    track = None if span is None else tracks.get((span.source, column))
    values = track.during(span) if track is not None and span is not None else []
    if len(values) > 1:
        scheme, value = _CONCEPTS[column]
        field = f"{value} {scheme}"
        reading.findings.add("several_values", f"{field} changes during an irradiation event", field)
    return values[0] if len(values) == 1 else None


def _span(children: Children, header_offset_min: int | None, reading: Reading) -> _Span | None:
    """The time that items are about, begin and end; None if either is not readable."""
    begin, end = (events.read_start(children, header_offset_min, reading, c) for c in (codes.STARTED, codes.ENDED))
    if begin.local is None or end.local is None:
        return None
    return _Span(_source(children, reading), _instant(begin), _instant(end))


def _instant(start: events.Start) -> timedelta:
    """Time since the first day of the calendar; by UTC where an offset is known, else by the device's clock."""
    assert start.local is not None  # noqa: S101 - checked before
    return (start.local - datetime.min) - timedelta(minutes=start.utc_offset_min or 0)  # noqa: DTZ901
