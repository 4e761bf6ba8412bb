"""Computed tomography (TID 10011 to 10015): DLP total and acquisitions with DLP, CTDIvol and phantom.

Projection X-ray lies in projection.py.
"""

from __future__ import annotations

from ingest.dose_reports import codes, events
from ingest.dose_reports.tree import Children, Item
from ingest.dose_reports.values import Reading
from ingest.records import IrradiationEvent, Total


def read_totals(root: Children, reading: Reading) -> tuple[Total, ...]:
    """The DLP total (mGy.cm); of several containers that differ none, with a finding."""
    children = Children([item for box in root.find(codes.ACCUMULATED_CT) for item in box.children.items])
    events.note_unknown_schemes(children, reading)
    return tuple(
        Total("single", quantity.column, value)
        for quantity in codes.CT_TOTALS
        if (value := reading.number(children, quantity)) is not None
    )


def read_events(root: Children, header_offset_min: int | None, reading: Reading) -> list[IrradiationEvent]:
    """The CT acquisitions in document order, numbered from 1.

    A CT report states the start of its first irradiation (113809); an acquisition need not state its own.
    """
    found = [_event(no, item, header_offset_min, reading) for no, item in enumerate(root.find(codes.CT_EVENT), start=1)]
    if found and found[0].started_raw is None:
        start = events.read_start(root, header_offset_min, reading, codes.CT_STARTED)
        found[0] = found[0]._replace(
            started_raw=start.raw,
            started_local=start.local,
            utc_offset_min=start.utc_offset_min,
            time_rule=start.rule,
        )
    return found


def _event(no: int, item: Item, header_offset_min: int | None, reading: Reading) -> IrradiationEvent:
    children = item.children.flattened(codes.CT_EVENT_PARTS)
    events.note_unknown_schemes(children, reading)
    start = events.read_start(children, header_offset_min, reading)
    return IrradiationEvent(
        event_no=no,
        event_uid=events.read_uid(children, reading),
        is_uid_made=False,
        plane="single",
        event_type="ct_acquisition",
        started_raw=start.raw,
        started_local=start.local,
        utc_offset_min=start.utc_offset_min,
        time_rule=start.rule,
        acquisition_protocol=reading.text(children, codes.PROTOCOL),
        target_region=events.read_name(children, codes.TARGET_REGION, codes.REGIONS),
        ctdi_phantom=reading.coded(children, codes.CTDI_PHANTOM, codes.PHANTOMS),
        ct_acquisition_type=events.read_name(children, codes.CT_ACQUISITION_TYPE, codes.CT_ACQUISITION_TYPES),
        **events.read_numbers(children, codes.CT_NUMBERS, reading),
    )
