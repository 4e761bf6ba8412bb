"""The demo hospital's dosimeter exports as CSV files, and the sources/*.yaml that describe them.

Belongs here: how each reader's export looks; the description that a site would write also drives the writing.
Does not belong here: what the badges registered (badges.py) and reading exports (ingest/dosimeters).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import yaml

from synthetic_hospital.badges import IntArray, Readings
from synthetic_hospital.catalogue import Preset
from synthetic_hospital.hospital import Hospital, generator

Table = dict[str, list[Any]]  # columns of cells by canonical name, all of one length

_COMMON: dict[str, Any] = {
    "null_tokens": ["", "-"],
    "below_lod_tokens": ["M", "<LOD"],
    "unused_tokens": ["Unused"],
}
BELOW_DETECTION = "M"


@dataclass(frozen=True, slots=True)
class Source:
    """One reader's exports.

    Attributes:
        comment: first line of its description, for the person who reads it.
        description: content of sources/<source_id>.yaml, input contract v1 (time zone and hubs come from the preset).
        preamble, footer: lines around the table; ``footer`` may use {rows}.
        filler: what the columns hold that are described as ignored.
        newline: line end.
    """

    comment: str
    description: dict[str, Any]
    preamble: tuple[str, ...] = ()
    footer: str | None = None
    filler: dict[str, str] = field(default_factory=dict)
    newline: str = "\n"

    @property
    def source_id(self) -> str:
        """Name of the source and of its inbox folder."""
        return str(self.description["source_id"])


@dataclass(frozen=True, slots=True)
class ExportFile:
    """One file for the inbox: path relative to the site, bytes, and the status that the file ledger must show."""

    path: str
    source_id: str
    content: bytes
    expected_status: str
    rows_rejected: int = 0


SOURCES = {
    source.source_id: source
    for source in (
        Source(
            "Real-time badges of the cath labs: 1-s dose rates above 40 uSv/h, decimal comma, badge clock without DST.",
            {
                "source_id": "cath_rates",
                "layout": "rate_samples",
                "file_pattern": "*.csv",
                "encoding": "cp1252",
                "delimiter": ";",
                "decimal": ",",
                "skip_rows": 3,
                "footer_pattern": "^Total",
                "dst": False,
                "datetime_format": "%d.%m.%Y %H:%M:%S",
                "sample_seconds": 1,
                "columns": {
                    "started_at": ["Fecha", "Hora"],
                    "dosimeter_serial": "Dosímetro",
                    "hp10": "Tasa (µSv/h)",
                    "hub": "Base",
                },
                "units": {"hp10": "µSv/h"},
                "ignored_columns": ["Batería"],
                **_COMMON,
            },
            preamble=("Exportación de dosímetros", "Unidad: µSv/h", ""),
            footer="Total;{rows}",
            filler={"Batería": "87"},
            newline="\r\n",
        ),
        Source(
            "Real-time badges of the IR rooms: 1-s dose rates above 40 uSv/h, instants in UTC.",
            {
                "source_id": "ir_rates",
                "layout": "rate_samples",
                "file_pattern": "*.csv",
                "encoding": "utf-8",
                "delimiter": ",",
                "decimal": ".",
                "dst": True,
                "datetime_format": "iso8601",
                "sample_seconds": 1,
                "columns": {"dosimeter_serial": "serial", "started_at": "time", "hp10": "rate_usv_h", "hub": "hub"},
                "units": {"hp10": "uSv/h"},
                **_COMMON,
            },
        ),
        Source(
            "Hourly totals of the same real-time badges, whole microsieverts, badge clock without DST.",
            {
                "source_id": "badge_hours",
                "layout": "hourly_totals",
                "file_pattern": "*.csv",
                "encoding": "utf-8-sig",
                "delimiter": ";",
                "decimal": ".",
                "dst": False,
                "datetime_format": "%d.%m.%Y %H:%M",
                "counter": "increment",
                "columns": {"dosimeter_serial": "Dosimeter", "started_at": "Hour", "hp10": "Hp10 (µSv)"},
                "units": {"hp10": "µSv"},
                **_COMMON,
            },
        ),
        Source(
            "Counters of the same kind of badges, read out every hour whether worn or not, whole microsieverts.",
            {
                "source_id": "counter_hours",
                "layout": "hourly_totals",
                "file_pattern": "*.csv",
                "encoding": "utf-8",
                "delimiter": ",",
                "decimal": ".",
                "dst": False,
                "datetime_format": "%Y-%m-%d %H:%M",
                "counter": "cumulative",
                "records_when_idle": True,
                "columns": {"dosimeter_serial": "serial", "started_at": "hour", "hp10": "total_uSv"},
                "units": {"hp10": "uSv"},
                **_COMMON,
            },
        ),
        Source(
            "Badges of nurses and technologists: one row per issue and return, full minutes, local time.",
            {
                "source_id": "staff_sessions",
                "layout": "sessions",
                "file_pattern": "*.csv",
                "encoding": "utf-8",
                "delimiter": ",",
                "decimal": ".",
                "dst": True,
                "datetime_format": "%Y-%m-%d %H:%M",
                "columns": {
                    "dosimeter_serial": "Badge",
                    "started_at": "Issued",
                    "ended_at": "Returned",
                    "hp10": "Hp(10) uSv",
                },
                "units": {"hp10": "uSv"},
                **_COMMON,
            },
        ),
        Source(
            "Monthly results of the passive badges, mSv; M = below the laboratory's detection limit.",
            {
                "source_id": "passive",
                "layout": "badge_periods",
                "file_pattern": "*.csv",
                "encoding": "iso-8859-1",
                "delimiter": ";",
                "decimal": ",",
                "skip_rows": 1,
                "dst": True,
                "datetime_format": "%d/%m/%Y",
                "columns": {
                    "dosimeter_serial": "Dosímetro",
                    "period_begin": "Desde",
                    "period_end": "Hasta",
                    "hp10": "Hp(10)",
                    "hp007": "Hp(0,07)",
                },
                "units": {"hp10": "mSv", "hp007": "mSv"},
                "ignored_columns": ["Unidad"],
                **_COMMON,
            },
            preamble=("Laboratorio de dosimetría",),
            filler={"Unidad": "mSv"},
        ),
    )
}


def sources_of(preset: Preset) -> list[Source]:
    """The sources that a site has, in the order of ``SOURCES``."""
    rates = {room.rate_source for room in preset.rooms}
    hours = {badge.hours_source for badge in preset.badges()}
    return [source for name, source in SOURCES.items() if name in rates | hours | {"staff_sessions", "passive"}]


def description(source: Source, preset: Preset) -> dict[str, Any]:
    """The whole description of a source at a site: its table plus the site's zone and hubs."""
    hubs = {room.hub: room.room_id for room in preset.rooms if room.rate_source == source.source_id}
    described = {**source.description, "timezone": preset.timezone}
    if hubs and preset.names_hubs:
        return {**described, "hubs": hubs}
    return {**described, "columns": {name: of for name, of in described["columns"].items() if name != "hub"}}


def description_yaml(source: Source, preset: Preset) -> str:
    """The text of sources/<source_id>.yaml."""
    body = yaml.safe_dump(
        description(source, preset), sort_keys=False, allow_unicode=True, default_flow_style=None, width=120
    )
    return f"# {source.comment}\n{body}"


def export_files(hospital: Hospital, readings: Readings) -> Iterator[ExportFile]:
    """All exports, one file at a time."""
    preset = hospital.preset
    rates = sorted({room.rate_source for room in preset.rooms})
    for source_id in rates:
        is_first = source_id == rates[0]
        yield from _weekly(SOURCES[source_id], preset, _rates(hospital, readings, source_id), is_first)
    yield from _weekly(SOURCES["badge_hours"], preset, _hours(readings))
    if preset.counter_specialties:
        yield from _weekly(SOURCES["counter_hours"], preset, _counters(hospital, readings))
    sessions = _sessions(readings)
    yield from _monthly(SOURCES["staff_sessions"], preset, "sessions", sessions)
    yield from _monthly(SOURCES["passive"], preset, "passive", _periods(readings))
    yield _with_unknown_column(preset, sessions)


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows of one source in order of time: when each begins, seconds since the epoch, and the cells of chosen ones."""

    second: IntArray
    cells: Callable[[IntArray], Table]


def _rates(hospital: Hospital, readings: Readings, source_id: str) -> _Rows:
    """Samples that the hubs of one source received, in order of time and badge."""
    serials = np.array(sorted(readings.samples))
    samples = [readings.samples[serial] for serial in serials]
    badge = np.repeat(np.arange(len(serials)), [len(s.second) for s in samples])
    second = np.concatenate([s.second for s in samples])
    tenths = np.concatenate([s.rate_tenths for s in samples])
    procedure = np.concatenate([s.procedure for s in samples])
    is_here = np.array([p.room.rate_source == source_id for p in hospital.procedures])[procedure]
    order = np.lexsort((badge, second))
    order = order[is_here[order]]
    hubs = np.array([p.room.hub for p in hospital.procedures])

    def cells(chosen: IntArray) -> Table:
        rows = order[chosen]
        return {
            "dosimeter_serial": serials[badge[rows]].tolist(),
            "started_at": [datetime.fromtimestamp(at, UTC) for at in second[rows].tolist()],
            "hp10": [Decimal(rate).scaleb(-1) for rate in tenths[rows].tolist()],
            "hub": hubs[procedure[rows]].tolist(),
        }

    return _Rows(second[order], cells)


def _hours(readings: Readings) -> _Rows:
    """Increments of the hours in which a badge was in use."""
    hours = [hour for hour in readings.hours if hour.source_id == "badge_hours"]
    hours.sort(key=lambda hour: (hour.started_at, hour.serial))
    doses = [hour.dose_usv for hour in hours]
    return _hour_rows([hour.serial for hour in hours], [int(hour.started_at.timestamp()) for hour in hours], doses)


def _counters(hospital: Hospital, readings: Readings) -> _Rows:
    """Readings of every hour of the period; a badge had seen some dose before."""
    preset = hospital.preset
    begin, end = (
        int(preset.midnight(day).timestamp()) // 3600 for day in (preset.first_day, preset.last_day + timedelta(days=1))
    )
    count = end - begin
    serials = sorted(badge.serial for badge in preset.badges() if badge.hours_source == "counter_hours")
    increments = np.zeros((len(serials), count), dtype=np.int64)
    for hour in readings.hours:
        if hour.source_id == "counter_hours":
            increments[serials.index(hour.serial), int(hour.started_at.timestamp()) // 3600 - begin] = hour.dose_usv
    increments[:, 0] = generator(hospital.seed, "counters").integers(100, 9000, size=len(serials))
    totals = increments.cumsum(axis=1).T.ravel()
    seconds = np.repeat((begin + np.arange(count)) * 3600, len(serials))
    return _hour_rows(serials * count, seconds.tolist(), totals.tolist())


def _hour_rows(serials: list[str], seconds: list[int], doses_usv: list[int]) -> _Rows:
    def cells(chosen: IntArray) -> Table:
        return {
            "dosimeter_serial": [serials[n] for n in chosen.tolist()],
            "started_at": [datetime.fromtimestamp(seconds[n], UTC) for n in chosen.tolist()],
            "hp10": [Decimal(doses_usv[n]) for n in chosen.tolist()],
        }

    return _Rows(np.array(seconds, dtype=np.int64), cells)


def _sessions(readings: Readings) -> Table:
    sessions = sorted(readings.sessions, key=lambda session: (session.started_at, session.serial))
    return {
        "dosimeter_serial": [session.serial for session in sessions],
        "started_at": [session.started_at for session in sessions],
        "ended_at": [session.ended_at for session in sessions],
        "hp10": [session.dose_usv for session in sessions],
    }


def _periods(readings: Readings) -> Table:
    periods = sorted(readings.periods, key=lambda period: (period.begin, period.serial))
    doses = [period.dose_msv for period in periods]
    return {
        "dosimeter_serial": [period.serial for period in periods],
        "period_begin": [period.begin for period in periods],
        "period_end": [period.end for period in periods],
        "hp10": doses,
        "hp007": doses,
    }


def _weekly(source: Source, preset: Preset, rows: _Rows, is_dirty: bool = False) -> Iterator[ExportFile]:
    """Exports of seven days each; every one repeats the last day of the one before.

    Of a dirty source one week comes with wrong values first; another breaks off within a line, comes in mSv/h, and at
    last as it should be.
    """
    first_day = int(datetime.combine(preset.first_day, time(), UTC).timestamp()) // 86400
    day = rows.second // 86400 - first_day
    dirt = preset.dirt
    weeks = range(0, len(preset.days()), 7)
    broken = next((begin for begin in weeks if ((day >= begin) & (day < begin + 7)).any()), None)
    corrected = weeks[len(weeks) // 2]
    for begin in weeks:
        chosen = np.flatnonzero((day >= begin - 1) & (day < begin + 7))
        is_new = not len(chosen) or bool((day[chosen] >= begin).any())
        table = rows.cells(chosen)
        stem = f"export_{preset.first_day + timedelta(days=begin + 7):%Y%m%d}"
        export = _file(source, preset, f"{stem}.csv", table, "loaded" if is_new else "duplicate")
        if is_dirty and dirt.has_broken_exports and begin == broken:
            yield _cut_off(source, export)
            yield _file(source, preset, f"{stem}_again.csv", table, "loaded")
            yield _in_other_unit(source, preset, f"{stem}_msv.csv", table)
        elif is_dirty and dirt.corrected_rows and begin == corrected and len(chosen):
            yield _file(source, preset, f"{stem}.csv", _miscalibrated(table, dirt.corrected_rows), "loaded")
            yield _file(source, preset, f"{stem}_corrected.csv", table, "loaded")
        else:
            yield export


def _cut_off(source: Source, export: ExportFile) -> ExportFile:
    """A transfer that broke off within the last row, after its first cell."""
    encoding, newline = source.description["encoding"], source.newline
    lines = export.content.decode(encoding).split(newline)[: -2 if source.footer else -1]
    lines[-1] = lines[-1].split(source.description["delimiter"])[0]
    return replace(export, content=newline.join(lines).encode(encoding), rows_rejected=1)


def _in_other_unit(source: Source, preset: Preset, name: str, table: Table) -> ExportFile:
    """Somebody changed the reader program's unit: the column is called otherwise, so the file is refused whole."""
    columns = {**source.description["columns"], "hp10": "Tasa (mSv/h)"}
    other = replace(source, description={**source.description, "columns": columns})
    in_msv = {**table, "hp10": [rate / 1000 for rate in table["hp10"]]}
    return _file(other, preset, name, in_msv, "quarantined")


def _miscalibrated(table: Table, count: int) -> Table:
    """The first rows with a tenth more dose, as before somebody entered the right calibration factor."""
    return {**table, "hp10": [rate * 11 / 10 if n < count else rate for n, rate in enumerate(table["hp10"])]}


def _monthly(source: Source, preset: Preset, stem: str, table: Table) -> Iterator[ExportFile]:
    """Exports of one calendar month each, without overlap."""
    months: dict[str, list[int]] = {}
    for n, begin in enumerate(table["started_at" if "started_at" in table else "period_begin"]):
        months.setdefault(f"{begin:%Y-%m}", []).append(n)
    for month, rows in months.items():
        part = {name: [cells[n] for n in rows] for name, cells in table.items()}
        yield _file(source, preset, f"{stem}_{month}.csv", part, "loaded")


def _with_unknown_column(preset: Preset, sessions: Table) -> ExportFile:
    """An export of a newer reader program, with a column that nobody has described: refused whole, nothing guessed."""
    source = SOURCES["staff_sessions"]
    newer = replace(
        source,
        description={**source.description, "ignored_columns": ["Firmware"]},
        filler={"Firmware": "2.1"},
    )
    few = {name: cells[:5] for name, cells in sessions.items()}
    return _file(newer, preset, "sessions_new_reader.csv", few, "quarantined")


def _file(source: Source, preset: Preset, name: str, table: Table, status: str) -> ExportFile:
    """One export, as its description says that it is to be read."""
    described = description(source, preset)
    lines = _lines(source, described, table)
    header = [name for columns in described["columns"].values() for name in _as_list(columns)]
    header_line = described["delimiter"].join([*header, *described.get("ignored_columns", [])])
    footer = [source.footer.format(rows=len(lines))] if source.footer else []
    text = source.newline.join([*source.preamble, header_line, *lines, *footer, ""])
    path = f"inbox/dosimeters/{source.source_id}/{name}"
    return ExportFile(path, source.source_id, text.encode(described["encoding"]), status)


def _lines(source: Source, described: dict[str, Any], table: Table) -> list[str]:
    """The rows of a table as lines of text, columns in the order of the description."""
    columns: list[list[str]] = []
    for canonical, names in described["columns"].items():
        texts = _texts(described, table[canonical])
        # One canonical value in several columns is joined by one blank in the description, hence split by it here.
        parts = [text.split(" ") for text in texts] if isinstance(names, list) else [[text] for text in texts]
        columns.extend(list(column) for column in zip(*parts, strict=True))
    filler = [source.filler[name] for name in described.get("ignored_columns", [])]
    delimiter: str = described["delimiter"]
    return [delimiter.join([*cells, *filler]) for cells in zip(*columns, strict=True)]


def _as_list(columns: str | list[str]) -> list[str]:
    return [columns] if isinstance(columns, str) else columns


def _texts(described: dict[str, Any], column: list[Any]) -> list[str]:
    """A column as a reader writes it; all its cells that are there are of one kind."""
    decimal: str = described["decimal"]
    form: str = described["datetime_format"]
    match next((cell for cell in column if cell is not None), None):
        case Decimal():
            return [BELOW_DETECTION if cell is None else f"{cell:f}".replace(".", decimal) for cell in column]
        case datetime():
            write = _instant_writer(described)
            texts = {instant: write(instant) for instant in set(column)}
            return [texts[instant] for instant in column]
        case date():
            return [cell.strftime(form) for cell in column]
        case str():
            return column
    return [BELOW_DETECTION] * len(column)


def _instant_writer(described: dict[str, Any]) -> Callable[[datetime], str]:
    """How a reader writes an instant: in UTC with Z, in local time, or in the zone's standard time all year.

    Date and time of day are written apart and kept: a big hospital has millions of instants, but few days.
    """
    if described["datetime_format"] == "iso8601":
        date_form, blank, time_form, zone = "%Y-%m-%d", "T", "%H:%M:%SZ", ZoneInfo("UTC")
    else:
        date_form, blank, time_form = described["datetime_format"].partition(" ")
        zone = ZoneInfo(described["timezone"])
    no_shift = timedelta(0)

    def write(instant: datetime) -> str:
        local = instant.astimezone(zone)
        if not described["dst"]:
            local -= local.dst() or no_shift
        return _date_text(local.date(), date_form) + blank + _time_text(local.time(), time_form)

    return write


@lru_cache(maxsize=1024)
def _date_text(day: date, form: str) -> str:
    return day.strftime(form)


@lru_cache(maxsize=1 << 18)
def _time_text(time_of_day: time, form: str) -> str:
    return time_of_day.strftime(form)
