"""The demo hospital's dosimeter exports as CSV files, and the sources/*.yaml that describe them.

Belongs here: how each reader's export looks; the description that a site would write also drives the writing.
Does not belong here: what the badges registered (badges.py) and reading exports (ingest/dosimeters).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import yaml

from ingest.synthetic.badges import Readings
from ingest.synthetic.catalogue import Preset
from ingest.synthetic.hospital import Hospital

Cell = str | Decimal | datetime | date | None
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


def description(source: Source, preset: Preset) -> dict[str, Any]:
    """The whole description of a source at a site: its table plus the site's zone and hubs."""
    hubs = {room.hub: room.room_id for room in preset.rooms if room.rate_source == source.source_id}
    return {**source.description, "timezone": preset.timezone, **({"hubs": hubs} if hubs else {})}


def description_yaml(source: Source, preset: Preset) -> str:
    """The text of sources/<source_id>.yaml."""
    body = yaml.safe_dump(
        description(source, preset), sort_keys=False, allow_unicode=True, default_flow_style=None, width=120
    )
    return f"# {source.comment}\n{body}"


def export_files(hospital: Hospital, readings: Readings) -> Iterator[ExportFile]:
    """All exports, one file at a time."""
    preset = hospital.preset
    for source_id in sorted({room.rate_source for room in preset.rooms}):
        yield from _weekly(SOURCES[source_id], preset, _rates(hospital, readings, source_id))
    yield from _weekly(SOURCES["badge_hours"], preset, _hours(readings))
    sessions = _sessions(readings)
    yield from _monthly(SOURCES["staff_sessions"], preset, "sessions", sessions)
    yield from _monthly(SOURCES["passive"], preset, "passive", _periods(readings))
    yield _with_unknown_column(preset, sessions)


def _rates(hospital: Hospital, readings: Readings, source_id: str) -> Table:
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
    return {
        "dosimeter_serial": serials[badge[order]].tolist(),
        "started_at": [datetime.fromtimestamp(at, UTC) for at in second[order].tolist()],
        "hp10": [Decimal(rate).scaleb(-1) for rate in tenths[order].tolist()],
        "hub": hubs[procedure[order]].tolist(),
    }


def _hours(readings: Readings) -> Table:
    hours = sorted(readings.hours, key=lambda hour: (hour.started_at, hour.serial))
    return {
        "dosimeter_serial": [hour.serial for hour in hours],
        "started_at": [hour.started_at for hour in hours],
        "hp10": [Decimal(hour.dose_usv) for hour in hours],
    }


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


def _weekly(source: Source, preset: Preset, table: Table) -> Iterator[ExportFile]:
    """Exports of seven days each; every one repeats the last day of the one before."""
    rows = _lines(source, preset, table)
    day = np.array([(at.date() - preset.first_day).days for at in table["started_at"]])
    for begin in range(0, (preset.last_day - preset.first_day).days + 1, 7):
        chosen = np.flatnonzero((day >= begin - 1) & (day < begin + 7))
        is_new = not len(chosen) or bool((day[chosen] >= begin).any())
        name = f"export_{preset.first_day + timedelta(days=begin + 7):%Y%m%d}.csv"
        yield _file(source, name, [rows[n] for n in chosen.tolist()], "loaded" if is_new else "duplicate")


def _monthly(source: Source, preset: Preset, stem: str, table: Table) -> Iterator[ExportFile]:
    """Exports of one calendar month each, without overlap."""
    months: dict[str, list[str]] = {}
    begins = table["started_at" if "started_at" in table else "period_begin"]
    for begin, line in zip(begins, _lines(source, preset, table), strict=True):
        months.setdefault(f"{begin:%Y-%m}", []).append(line)
    for month, lines in months.items():
        yield _file(source, f"{stem}_{month}.csv", lines, "loaded")


def _with_unknown_column(preset: Preset, sessions: Table) -> ExportFile:
    """An export of a newer reader program, with a column that nobody has described: refused whole, nothing guessed."""
    source = SOURCES["staff_sessions"]
    newer = replace(
        source,
        description={**source.description, "ignored_columns": ["Firmware"]},
        filler={"Firmware": "2.1"},
    )
    return _file(newer, "sessions_new_reader.csv", _lines(newer, preset, sessions)[:5], "quarantined")


def _file(source: Source, name: str, lines: list[str], status: str) -> ExportFile:
    """One export around formatted rows, as its description says that it is to be read."""
    described = source.description
    header = [name for columns in described["columns"].values() for name in _as_list(columns)]
    header_line = described["delimiter"].join([*header, *described.get("ignored_columns", [])])
    footer = [source.footer.format(rows=len(lines))] if source.footer else []
    text = source.newline.join([*source.preamble, header_line, *lines, *footer, ""])
    path = f"inbox/dosimeters/{source.source_id}/{name}"
    return ExportFile(path, source.source_id, text.encode(described["encoding"]), status)


def _lines(source: Source, preset: Preset, table: Table) -> list[str]:
    """The rows of a table as lines of text, columns in the order of the description."""
    described = source.description
    to_text = _cell_writer(described, ZoneInfo(preset.timezone))
    columns: list[list[str]] = []
    for canonical, names in described["columns"].items():
        texts = [to_text(cell) for cell in table[canonical]]
        # One canonical value in several columns is joined by one blank in the description, hence split by it here.
        parts = [text.split(" ") for text in texts] if isinstance(names, list) else [[text] for text in texts]
        columns.extend(list(column) for column in zip(*parts, strict=True))
    filler = [source.filler[name] for name in described.get("ignored_columns", [])]
    delimiter: str = described["delimiter"]
    return [delimiter.join([*cells, *filler]) for cells in zip(*columns, strict=True)]


def _as_list(columns: str | list[str]) -> list[str]:
    return [columns] if isinstance(columns, str) else columns


def _cell_writer(described: dict[str, Any], zone: ZoneInfo) -> Callable[[Cell], str]:
    """How a reader writes a cell: instants in UTC with Z, in local time, or in the zone's standard time all year."""
    decimal: str = described["decimal"]
    form: str = described["datetime_format"]

    @lru_cache(maxsize=4096)
    def instant(value: datetime) -> str:
        if form == "iso8601":
            return f"{value:%Y-%m-%dT%H:%M:%SZ}"
        local = value.astimezone(zone)
        return (local if described["dst"] else local - (local.dst() or timedelta(0))).strftime(form)

    def write(cell: Cell) -> str:
        match cell:
            case str():
                return cell
            case Decimal():
                return str(cell).replace(".", decimal)
            case datetime():
                return instant(cell)
            case date():
                return cell.strftime(form)
        return BELOW_DETECTION

    return write
