"""Chart of one room and day: beam-on, the C-arm badge and each operator's badge, before and after clock correction.

Queries and drawing only; links were decided in dbt. People appear by
operator_id, patients not at all. A picture is a plain Vega-Lite specification, drawn by vl-convert.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import duckdb
import vl_convert

from ingest.problems import UserError
from ingest.pseudonymise import load_key
from ingest.raw.build_db import read_build
from ingest.site.config import load_site

# Colours that stay apart for colour-blind readers (Okabe-Ito); procedures that follow each other never share one.
PALETTE = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8c6bb1", "#7a6a00")
UNLINKED, UNLINKED_COLOUR, UNDECIDED_COLOUR = "unlinked", "#9aa0a6", "#4d5662"
BEAM_LANE = "Beam on"
WIDTH_PX, LANE_PX, BEAM_PX, SCALE = 1000, 44, 18, 1.5
BIN_PX = 2  # the day's panel shows the highest rate of what falls on so many pixels
LOWEST_USV_PER_H, HIGHEST_USV_PER_H = 1, 100_000  # of the axes: values of badges, and of the beam
ZOOM_S = 180  # the two panels below show so much, where most events with dose begin
AXIS_S = 600  # a day begins and ends at full ten minutes

Datasets = dict[str, list[dict[str, Any]]]  # the rows of each lane by name
Spec = dict[str, Any]  # a part of a Vega-Lite specification
CONFIG: Spec = {
    "background": "white",
    "font": "Liberation Sans, Arial, sans-serif",  # a browser may not have the first
    "padding": 14,
    "axis": {"labelFontSize": 11, "labelColor": "#333", "gridColor": "#e3e6ea", "titleColor": "#333"},
    "legend": {"labelFontSize": 12, "labelColor": "#333", "labelLimit": 260},
    "title": {"fontSize": 18, "subtitleFontSize": 13, "subtitleColor": "#444", "subtitlePadding": 6},
    "view": {"stroke": "#d6dade"},
}

# Times are UTC in the tables and local on the chart. A day's beams by either clock, with the number of their procedure.
BEAMS = """
select
    procedure_clocks.procedure_id,
    timezone(site.site_timezone, beam_on.started_at) as started_local,
    timezone(site.site_timezone, beam_on.ended_at) as ended_local
from intermediate.int_beam_on as beam_on
inner join intermediate.int_procedure_clock as procedure_clocks
    on beam_on.procedure_id = procedure_clocks.procedure_id and beam_on.clock_basis = procedure_clocks.clock_basis
cross join staging.stg_site as site
where procedure_clocks.room_id = $room and procedure_clocks.procedure_date = $day and beam_on.clock_basis = 'room'
order by beam_on.started_at, beam_on.event_hash
"""
# Samples linked to the room's procedures, and unlinked ones of badges that may have been there.
SAMPLES = """
with procedures as (
    select procedure_id from intermediate.int_procedure where room_id = $room and procedure_date = $day
)

select
    coalesce(dispositions.operator_id, 'C-arm') as wearer,
    dispositions.dosimeter_serial,
    procedures.procedure_id,
    timezone(site.site_timezone, dispositions.started_at) as started_local,
    timezone(site.site_timezone, dispositions.ended_at) as ended_local,
    cast(dispositions.dose_usv as double)
    / nullif((epoch_us(dispositions.ended_at) - epoch_us(dispositions.started_at)) / 3.6e9, 0) as rate_usv_per_h
from intermediate.int_disposition as dispositions
inner join intermediate.int_dose_evidence as evidence on dispositions.dose_key = evidence.dose_key
cross join staging.stg_site as site
left join procedures on dispositions.procedure_id = procedures.procedure_id
where
    dispositions.layout = 'rate_samples'
    and dispositions.quantity = 'hp10'
    and dispositions.dose_usv > 0
    and dispositions.measured_date between $day - 1 and $day + 1
    and (
        procedures.procedure_id is not null
        or (
            dispositions.disposition = 'unlinked'
            and exists (
                from intermediate.int_sample_room as sample_rooms
                where
                    sample_rooms.room_id = $room
                    and sample_rooms.measured_date = $day
                    and sample_rooms.dosimeter_serial = dispositions.dosimeter_serial
                    and sample_rooms.measured_date = dispositions.measured_date
                    and sample_rooms.evident_room_id is not distinct from evidence.evident_room_id
                    and sample_rooms.evident_room_ids is not distinct from evidence.evident_room_ids
            )
        )
    )
order by dispositions.c_arm_room_id is null, wearer, dispositions.dosimeter_serial, dispositions.started_at
"""
CLOCK = """
select cast(offset_s as double), cast(uncertainty_s as double), offset_method, cast(n_events as bigint), correlation
from intermediate.int_clock_offset where room_id = $room and offset_date = $day
"""
# Numbered: two of a kind may begin in one minute.
NAMES = """
select
    procedure_id,
    row_number() over in_time || ' · ' || strftime(timezone(site.site_timezone, started_at), '%H:%M') || ' '
    || procedure_type
from intermediate.int_procedure cross join staging.stg_site as site
where room_id = $room and procedure_date = $day and started_at is not null
window in_time as (order by started_at, procedure_id)
order by started_at, procedure_id
"""
NEAREST = """
select offset_date from intermediate.int_clock_offset where room_id = $room
order by abs(offset_date - $day), offset_date limit 3
"""
ROOMS = "select distinct room_id from intermediate.int_clock_offset order by room_id"
LATEST = """
select room_id, offset_date from intermediate.int_clock_offset order by offset_date desc, room_id limit $n
"""


NOTHING_BUILT = "Nothing was built yet: run `doseledger run` first."


class NothingToDraw(UserError):
    """The room had no procedure that day, or no table was built yet."""


@dataclass(frozen=True)
class Interval:
    """Something that lasted: beam-on or a badge sample.

    Attributes:
        lane: what it is drawn in: `BEAM_LANE`, or wearer and badge.
        procedure: label of the procedure, or `UNLINKED`.
        start, end: local at the site, by the dosimeters' clock as recorded.
        rate_usv_per_h: of a sample, µSv/h; 0 for a beam.
    """

    lane: str
    procedure: str
    start: datetime
    end: datetime
    rate_usv_per_h: float = 0.0

    def moved(self, by: timedelta) -> Interval:
        """The same, later."""
        return replace(self, start=self.start + by, end=self.end + by)


@dataclass(frozen=True)
class RoomDay:
    """What was on and what was measured in a room on a day.

    Attributes:
        room_id, day: which.
        clock: one sentence on the offset in force, its method and evidence.
        offset: dosimeter clock minus modality clock; zero where it is unknown.
        procedures: label of each procedure, in order of time.
        beams: moved onto the dosimeters' clock, in order of time.
        samples: C-arm badge first, then by wearer, badge and time.
    """

    room_id: str
    day: date
    clock: str
    offset: timedelta
    procedures: tuple[str, ...]
    beams: tuple[Interval, ...]
    samples: tuple[Interval, ...]


def write_chart(site_root: Path, room_id: str, day: date, file: Path) -> None:
    """Draw one room and local date of a site into a PNG file.

    Raises:
        UserError: the site or its build database cannot be used, there is no chart, or the file cannot be written.
    """
    site = load_site(site_root)
    if not site.build_db.exists():
        raise NothingToDraw(NOTHING_BUILT)
    with read_build(site, load_key(site.config.site_id, os.environ)) as con:
        room_day = read_room_day(con, room_id, day)
    try:
        file.write_bytes(room_day_png(room_day))
    except OSError as error:
        raise UserError(f"{file} cannot be written ({error.strerror}); name another file with -o.") from None


def latest_room_days(con: duckdb.DuckDBPyConnection, n: int) -> list[tuple[str, date]]:
    """The last rooms and local dates with procedures, newest first."""
    return [(room, day) for room, day in con.execute(LATEST, {"n": n}).fetchall()]


def read_room_day(con: duckdb.DuckDBPyConnection, room_id: str, day: date) -> RoomDay:
    """Query the build database for one room and local date.

    Raises:
        NothingToDraw: the room had no procedure that day, or nothing was built yet.
    """
    parameters = {"room": room_id, "day": day}
    try:
        clock = con.execute(CLOCK, parameters).fetchone()
    except duckdb.CatalogException:
        raise NothingToDraw(NOTHING_BUILT) from None
    if clock is None:
        raise NothingToDraw(_what_there_is(con, room_id, day))
    labels = dict(con.execute(NAMES, parameters).fetchall())
    return RoomDay(
        room_id,
        day,
        _clock_sentence(*clock),
        timedelta(seconds=clock[0] or 0),
        tuple(labels.values()),
        tuple(
            Interval(BEAM_LANE, labels[procedure], start, end)
            for procedure, start, end in con.execute(BEAMS, parameters).fetchall()
        ),
        tuple(
            Interval(f"{wearer} · {badge}", labels.get(procedure, UNLINKED), start, end, rate)
            for wearer, badge, procedure, start, end, rate in con.execute(SAMPLES, parameters).fetchall()
        ),
    )


def room_day_png(room_day: RoomDay, scale: float = SCALE) -> bytes:
    """The picture as a file to show around."""
    return vl_convert.vegalite_to_png(room_day_picture(room_day), scale=scale)


def room_day_picture(room_day: RoomDay) -> Spec:
    """A room's day: the whole day as linked, and a few minutes of it before and after the clocks were matched."""
    everything = (*room_day.beams, *room_day.samples)
    first = _floor(min(interval.start for interval in everything), AXIS_S)
    last = _floor(max(interval.end for interval in everything), AXIS_S) + timedelta(seconds=AXIS_S)
    bin_s = max(1, round((last - first).total_seconds() * BIN_PX / WIDTH_PX))
    day = (*room_day.beams, *_highest(room_day.samples, bin_s))
    zoom = _busiest(room_day)
    near = [s for s in room_day.samples if s.start < zoom[1] and s.end > zoom[0]]
    before = [*(beam.moved(-room_day.offset) for beam in room_day.beams), *near]
    colours = _colours(room_day.procedures)
    plain = dict.fromkeys(colours, UNDECIDED_COLOUR)
    rows: Datasets = {}
    half = (WIDTH_PX - 130) // 2
    return {
        "title": {
            "text": f"{room_day.room_id}, {room_day.day:%A %d %B %Y}",
            "subtitle": [
                room_day.clock,
                "Dose rate Hp(10), µSv/h, logarithmic; local time of the site by the badges' clock",
            ],
            "anchor": "start",
            "offset": 14,
        },
        "vconcat": [
            _lanes("The day, links by procedure", day, (first, last), WIDTH_PX, colours, rows, legend=True),
            {
                "hconcat": [
                    _lanes("Before: clocks as they were", before, zoom, half, plain, rows),
                    _lanes(
                        "After: beam moved onto the badges' clock", [*room_day.beams, *near], zoom, half, colours, rows
                    ),
                ],
                "spacing": 40,
                "resolve": {"scale": {"color": "independent"}},
            },
        ],
        "spacing": 30,
        "resolve": {"scale": {"color": "independent"}},
        "config": CONFIG,
        "datasets": rows,
    }


def _lanes(
    title: str,
    intervals: Sequence[Interval],
    window: tuple[datetime, datetime],
    width: int,
    colours: Mapping[str, str],
    rows: Datasets,
    *,
    legend: bool = False,
) -> Spec:
    """Lanes one below the other on one time axis: beam on top, then each badge, the C-arm's first; adds their rows."""
    lanes = list(dict.fromkeys([BEAM_LANE, *(interval.lane for interval in intervals)]))
    rows |= {f"{title}: {lane}": _rows([s for s in intervals if s.lane == lane], window) for lane in lanes}
    charts = [
        _lane(
            lane,
            f"{title}: {lane}",
            window,
            width,
            colours,
            is_last=lane == lanes[-1],
            legend=legend,
        )
        for lane in lanes
    ]
    heading = {"text": title, "anchor": "start", "fontSize": 13, "fontWeight": "bold", "color": "#333", "offset": 6}
    return {"title": heading, "vconcat": charts, "spacing": 4}


def _lane(
    lane: str,
    rows_name: str,
    window: tuple[datetime, datetime],
    width: int,
    colours: Mapping[str, str],
    *,
    is_last: bool,
    legend: bool,
) -> Spec:
    first, last = window
    is_beam = lane == BEAM_LANE
    lane_px = BEAM_PX if is_beam else LANE_PX
    return {
        "data": {"name": rows_name},
        "width": width,
        "height": lane_px,
        "mark": {"type": "bar", "clip": True, "minBandSize": 1},
        "encoding": {
            "x": {
                "field": "start",
                "type": "temporal",
                # Dates are drawn as UTC: in the machine's zone they could fall elsewhere.
                "scale": {"type": "utc", "domain": [first.isoformat(), last.isoformat()]},
                "axis": {
                    "format": "%H:%M" if last - first > timedelta(hours=1) else "%H:%M:%S",
                    "labels": is_last,
                    "ticks": is_last,
                    "title": None,
                    "tickCount": width // 100,
                },
            },
            "x2": {"field": "end"},
            "y": {
                "field": "rate",
                "type": "quantitative",
                "title": lane,
                "stack": None,
                "scale": {"type": "log", "domain": [LOWEST_USV_PER_H, HIGHEST_USV_PER_H], "clamp": True},
                "axis": {
                    "values": [] if is_beam else [10, 1000, HIGHEST_USV_PER_H],
                    "format": "~s",
                    "titleAngle": 0,
                    "titleAlign": "right",
                    "titleX": -38,
                    "titleY": lane_px / 2,
                    "titleBaseline": "middle",
                    "titleFontWeight": "normal",
                    "titleLimit": 200,
                    "minExtent": 36,
                },
            },
            "y2": {"datum": LOWEST_USV_PER_H},
            "color": {
                "field": "procedure",
                "type": "nominal",
                "title": None,
                "scale": {"domain": list(colours), "range": list(colours.values())},
                "legend": {"orient": "top", "columns": 5, "symbolType": "square"} if legend else None,
            },
        },
    }


def _rows(intervals: Sequence[Interval], window: tuple[datetime, datetime]) -> list[dict[str, Any]]:
    first, last = window
    return [
        {
            "start": max(interval.start, first).isoformat(),
            "end": min(interval.end, last).isoformat(),
            "procedure": interval.procedure,
            "rate": HIGHEST_USV_PER_H if interval.lane == BEAM_LANE else max(interval.rate_usv_per_h, LOWEST_USV_PER_H),
        }
        for interval in intervals
        if interval.start < last and interval.end > first
    ]


def _colours(procedures: Sequence[str]) -> dict[str, str]:
    """A colour for each procedure, and grey for what is linked to none."""
    return {name: PALETTE[n % len(PALETTE)] for n, name in enumerate(procedures)} | {UNLINKED: UNLINKED_COLOUR}


def _highest(samples: Sequence[Interval], bin_s: int) -> list[Interval]:
    """Of each badge, procedure and bin the sample with the highest rate, as wide as the bin."""
    best: dict[tuple[str, str, datetime], Interval] = {}
    for sample in samples:
        start = _floor(sample.start, bin_s)
        key = (sample.lane, sample.procedure, start)
        if key not in best or best[key].rate_usv_per_h < sample.rate_usv_per_h:
            best[key] = replace(sample, start=start, end=start + timedelta(seconds=bin_s))
    return list(best.values())


def _busiest(room_day: RoomDay) -> tuple[datetime, datetime]:
    """The interval in which most beams with dose begin; without any, the one of the first beam or sample."""
    with_dose = {_floor(sample.start, ZOOM_S) for sample in room_day.samples if sample.procedure != UNLINKED}
    begun = Counter(bin_ for beam in room_day.beams if (bin_ := _floor(beam.start, ZOOM_S)) in with_dose)
    anything = (*room_day.beams, *room_day.samples)
    start = (
        max(begun, key=lambda bin_: (begun[bin_], -bin_.timestamp())) if begun else _floor(anything[0].start, ZOOM_S)
    )
    return start, start + timedelta(seconds=ZOOM_S)


def _floor(moment: datetime, step_s: int) -> datetime:
    midnight = datetime.combine(moment.date(), time())
    return midnight + (moment - midnight) // timedelta(seconds=step_s) * timedelta(seconds=step_s)


def _clock_sentence(
    offset_s: float | None, uncertainty_s: float | None, method: str, n_events: int, correlation: float | None
) -> str:
    if offset_s is None:
        return f"Clock unknown: {n_events} irradiation events, not enough evidence; zero is assumed"
    sure = f" ± {uncertainty_s:.1f} s" if uncertainty_s is not None else ""
    shown = f", correlation {correlation:.2f}" if correlation is not None else ""
    return (
        f"Dosimeter clock minus modality clock: {offset_s:+.1f} s{sure} "
        f"({method.replace('_', ' ')}, {n_events} irradiation events{shown})"
    )


def _what_there_is(con: duckdb.DuckDBPyConnection, room_id: str, day: date) -> str:
    nearest = con.execute(NEAREST, {"room": room_id, "day": day}).fetchall()
    if nearest:
        days = ", ".join(str(found) for (found,) in nearest)
        return f"Room {room_id} had no procedure with a time on {day}; the nearest days with one: {days}."
    rooms = ", ".join(room for (room,) in con.execute(ROOMS).fetchall()) or "none"
    return f"There is no procedure with a time in a room '{room_id}'; rooms that have some: {rooms}."
