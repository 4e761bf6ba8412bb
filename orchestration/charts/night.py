"""The night in pictures: dose by day and what became of it, clock offsets by room, open findings, latest room days.

Queries of the build database and plain Vega-Lite specifications; assets.py draws the pictures.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import duckdb

from expectations.contract import TABLES
from orchestration.charts.room_day import PALETTE, latest_room_days, read_room_day, room_day_picture

WIDTH_PX, HEIGHT_PX, DAYS = 640, 190, 60
ROOM_DAYS = 3  # a quarter of a second of drawing and of a megabyte in Dagster's records each
# Colours that stay apart for colour-blind readers and in greyscale.
DOSE_COLOURS = {"linked": "#1f5f7a", "apportioned": "#8fc1d4", "unlinked": "#e08214"}
SEVERITY_COLOURS = {"urgent": "#a5121b", "review": "#e08214", "notice": "#9aa7b5"}

Spec = dict[str, Any]  # a part of a Vega-Lite specification
CONFIG: Spec = {
    "background": "white",
    "font": "Liberation Sans, Arial, sans-serif",  # a browser may not have the first
    "padding": 12,
    "axis": {
        "labelFontSize": 11,
        "titleFontSize": 11,
        "labelColor": "#333",
        "titleColor": "#333",
        "gridColor": "#e3e6ea",
    },
    "legend": {"labelFontSize": 11, "labelColor": "#333"},
    "view": {"stroke": None},
}
# Dates are drawn as UTC: in the machine's zone they could fall on the day before.
DAYS_AXIS: Spec = {
    "field": "day",
    "type": "temporal",
    "timeUnit": "utcyearmonthdate",
    "title": None,
    "axis": {"format": "%-d %b", "grid": False},
}
ORDER: Spec = {"field": "order", "type": "quantitative"}

# A source has one layout: one with passive rows has no other rows, and is in no linkage rate (contract, "ledger").
LINKAGE = f"""
select
    measured_date::varchar as day,
    sum(linked_event_usv + linked_window_usv + linked_session_usv + linked_vendor_usv + linked_manual_usv)::double
        as linked,
    sum(apportioned_usv)::double as apportioned,
    sum(unlinked_usv)::double as unlinked
from ledger.dose_balance
where
    quantity = 'hp10'
    and source_id not in (select source_id from ledger.unlinked_dose where reason = 'passive_period')
group by measured_date
qualify row_number() over (order by measured_date desc) <= {DAYS}
order by measured_date
"""
OFFSETS = f"""
select room_id as room, offset_date::varchar as day, offset_s::double as offset_s, replace(method, '_', ' ') as method
from ledger.clock_offset
where offset_s is not null
qualify dense_rank() over (order by offset_date desc) <= {DAYS}
order by offset_date, room_id
"""
FINDINGS = f"""
select rule, severity, count(*) as findings
from alerts.alert
where state = 'open' and not ({TABLES["alerts.alert"].restricted})
group by rule, severity
order by rule, severity
"""


def pictures_of(con: duckdb.DuckDBPyConnection) -> dict[str, Spec]:
    """Every picture of the last build, by name."""
    room_days = [read_room_day(con, room, day) for room, day in latest_room_days(con, ROOM_DAYS)]
    return {name: picture(con) for name, picture in PICTURES.items()} | {
        f"{room_day.day} {room_day.room_id}": room_day_picture(room_day) for room_day in room_days
    }


def _linkage(con: duckdb.DuckDBPyConnection) -> Spec:
    """Hp(10) of electronic badges by day of measurement, µSv: linked, apportioned, unlinked; the last days with any."""
    rows = [
        {"day": day, "kind": kind, "order": order, "usv": usv}
        for day, *doses in con.execute(LINKAGE).fetchall()
        for order, (kind, usv) in enumerate(zip(DOSE_COLOURS, doses, strict=True))
    ]
    encoding = {
        "x": DAYS_AXIS,
        "y": {"field": "usv", "type": "quantitative", "title": "Hp(10), µSv"},
        "color": _colours("kind", DOSE_COLOURS),
        "order": ORDER,
    }
    return _picture("Dose of electronic badges by day, staff and C-arms", rows, "bar", encoding)


def _offsets(con: duckdb.DuckDBPyConnection) -> Spec:
    """Offset in force by room and day, s: dosimeter clock minus modality clock; days without one have no point."""
    rows = [
        {"room": room, "day": day, "offset_s": offset_s, "method": method}
        for room, day, offset_s, method in con.execute(OFFSETS).fetchall()
    ]
    encoding = {
        "x": DAYS_AXIS,
        "y": {"field": "offset_s", "type": "quantitative", "title": "offset, s"},
        "color": {
            "field": "room",
            "type": "nominal",
            "title": None,
            "scale": {"range": list(PALETTE)},
            "legend": {"orient": "top"},
        },
        "shape": {"field": "method", "type": "nominal", "title": None, "legend": {"orient": "top"}},
    }
    mark = {"type": "point", "filled": True, "size": 45}
    return _picture("Dosimeter clock minus modality clock by room and day", rows, mark, encoding)


def _findings(con: duckdb.DuckDBPyConnection) -> Spec:
    """Number of open findings by rule and severity; none of the restricted audience."""
    rows = [
        {"rule": rule, "severity": severity, "findings": findings, "order": list(SEVERITY_COLOURS).index(severity)}
        for rule, severity, findings in con.execute(FINDINGS).fetchall()
    ]
    encoding = {
        "y": {"field": "rule", "type": "nominal", "title": None, "sort": "-x"},
        "x": {"field": "findings", "type": "quantitative", "title": "open findings", "axis": {"tickMinStep": 1}},
        "color": _colours("severity", SEVERITY_COLOURS),
        "order": ORDER,
    }
    return _picture("Open findings by rule and severity", rows, "bar", encoding)


def _colours(field: str, colours: dict[str, str]) -> Spec:
    return {
        "field": field,
        "type": "nominal",
        "title": None,
        "scale": {"domain": list(colours), "range": list(colours.values())},
        "legend": {"orient": "top", "symbolType": "square"},
    }


def _picture(title: str, rows: list[dict[str, object]], mark: str | Spec, encoding: Spec) -> Spec:
    return {
        "title": {"text": title, "anchor": "start", "fontSize": 14, "offset": 8},
        "data": {"values": rows},
        "width": WIDTH_PX,
        "height": HEIGHT_PX,
        "mark": mark,
        "encoding": encoding,
        "config": CONFIG,
    }


PICTURES: dict[str, Callable[[duckdb.DuckDBPyConnection], Spec]] = {
    "linkage by day": _linkage,
    "clock offsets": _offsets,
    "open findings": _findings,
}
