"""`trace`: the way of a dose from a line of a file to its disposition in the last build.

Queries the build database (read only), reads one line again and prints the way; it decides nothing.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
from rich.console import Console
from rich.markup import escape

from ingest.dosimeters.description import SourceDescription
from ingest.dosimeters.doses import UnreadableDose, reading_reader
from ingest.dosimeters.layouts import LAYOUTS
from ingest.dosimeters.reader import written_cells
from ingest.problems import UserError
from ingest.pseudonymise import load_key
from ingest.raw.build_db import read_build
from ingest.records import Refused
from ingest.site.config import Site
from orchestration.console.aligned import aligned

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Question:
    """Whose way is asked for: a procedure (its key or study UID), a badge on a site-local date, or a finding."""

    procedure: str | None = None
    badge: str | None = None
    day: date | None = None
    alert: str | None = None


@dataclass(frozen=True)
class _Subject:
    """What the question means in the build: a heading and the dispositions that belong to it."""

    heading: str
    condition: str
    values: list[object]


def print_trace(site: Site, question: Question, out: Console) -> None:
    """Prints where the doses of a subject came from and went to, and the way of one step by step: a person's largest.

    Raises:
        UserError: nothing was built, or the build knows no such procedure, badge and date, or finding.
    """
    if not site.build_db.exists():
        raise UserError("Nothing was built yet: run `doseledger run` first.")
    with read_build(site, load_key(site.config.site_id, os.environ)) as con:
        if not _rows(con, "from duckdb_tables() where schema_name = 'ledger' and table_name = 'file'"):
            raise UserError("The last build did not come to its end: 'doseledger status' says why.")
        subject = _subject(con, question)
        groups = _rows(con, _GROUPS.format(condition=subject.condition), subject.values)
        out.print(f"[bold]{escape(subject.heading)}[/]")
        if not groups:
            out.print("No dose of any badge belongs to it.")
            return
        for line in _where_it_went(groups):
            out.print(escape(line))
        [largest] = _rows(con, _LARGEST.format(condition=subject.condition), subject.values)
        out.print(f"\n[bold]The way of one of them, {_usv(largest['dose_usv'])}[/]")
        for name, said in _way(con, site, largest):
            out.print(f"  {name:<12}{escape(said)}")


# --- the request ---------------------------------------------------------------------------------------------------


def _subject(con: duckdb.DuckDBPyConnection, question: Question) -> _Subject:
    if question.alert is not None:
        return _of_alert(con, question.alert)
    if question.procedure is not None:
        return _of_procedure(con, question.procedure)
    values: list[object] = [question.badge, question.day]
    if not _rows(con, "from intermediate.int_disposition where dosimeter_serial = ? and measured_date = ?", values):
        known = _rows(con, _BADGE_DAYS, [question.badge])[0]
        hint = (
            f"its doses are of {known['first']} to {known['last']}" if known["first"] else "no export has such a badge"
        )
        raise UserError(f"Badge '{question.badge}' has no dose on {question.day}: {hint}.")
    return _Subject(f"Badge {question.badge} on {question.day}", "dosimeter_serial = ? and measured_date = ?", values)


def _of_procedure(con: duckdb.DuckDBPyConnection, name: str) -> _Subject:
    found = _rows(con, "from marts.fct_procedure where procedure_id = ? or study_instance_uid = ?", [name, name])
    if not found:
        raise UserError(f"There is no procedure '{name}'; marts.fct_procedure has their procedure_id and study UIDs.")
    procedure = found[0]
    heading = (
        f"Procedure {procedure['procedure_id']}: {procedure['procedure_type']} in {procedure['room_id']}, "
        f"{procedure['started_at']:%Y-%m-%d %H:%M:%S} to {procedure['ended_at']:%H:%M:%S} UTC (modality clock)"
        if procedure["started_at"]
        else f"Procedure {procedure['procedure_id']} in {procedure['room_id']}"
    )
    return _Subject(heading, "procedure_id = ?", [procedure["procedure_id"]])


def _of_alert(con: duckdb.DuckDBPyConnection, alert_id: str) -> _Subject:
    found = _rows(con, "from alerts.alert where alert_id = ?", [alert_id])
    if not found:
        raise UserError(f"There is no finding '{alert_id}' in the last build; alerts.alert has their alert_id.")
    alert = found[0]
    if alert["procedure_id"] is None:
        raise UserError(
            f"Finding '{alert_id}' ({alert['rule']}) is about no single procedure: {alert['message']} "
            "Trace a badge and a date instead."
        )
    subject = _of_procedure(con, alert["procedure_id"])
    heading = f"Finding {alert_id} ({alert['rule']}): {alert['message']}\n{subject.heading}"
    if alert["operator_id"] is None:
        return _Subject(heading, subject.condition, subject.values)
    # The C-arm's badge too: it is the denominator of some rules.
    condition = f"{subject.condition} and (operator_id = ? or c_arm_room_id is not null)"
    return _Subject(heading, condition, [*subject.values, alert["operator_id"]])


# --- where it went -------------------------------------------------------------------------------------------------


def _where_it_went(groups: list[Row]) -> list[str]:
    header = ("badge", "of", "quantity", "records", "µSv", "disposition", "source", "lines", "file")
    rows = [
        (
            group["dosimeter_serial"],
            group["operator_id"] or group["c_arm_room_id"] or "",
            group["quantity"],
            f"{group['n']:,}",
            "" if group["sum_usv"] is None else str(group["sum_usv"]),
            group["disposition"] + (f": {group['reason']}" if group["reason"] else ""),
            group["source_id"],
            str(group["first_line"]) if group["n"] == 1 else f"{group['first_line']} to {group['last_line']}",
            group["path"],
        )
        for group in groups
    ]
    return aligned(header, rows, right=("records", "µSv"))


# --- one dose's way ------------------------------------------------------------------------------------------------


def _way(con: duckdb.DuckDBPyConnection, site: Site, dose: Row) -> Iterator[tuple[str, str]]:
    """The steps of one dose: name and text."""
    versions = _rows(con, _VERSIONS, [dose["load_seq"], dose["line"], dose["quantity"]])
    [counting] = [version for version in versions if version["is_current"]]
    zone = ZoneInfo(site.config.timezone)
    source = site.sources.get(dose["source_id"])
    yield "file", f"{dose['path']} (source {dose['source_id']}, load sequence {dose['load_seq']})"
    yield "sha256", dose["sha256"]
    yield "line", str(dose["line"])
    for version in versions:
        yield "version", _version(version)
    cells, why_not = _cells(site, source, dose)
    if source is None or cells is None:
        yield "written", f"not to be read again: {why_not}"
    else:
        yield "written", ", ".join(f"{name} {text!r}" for name, text in cells.items())
        yield "conversion", _conversion(source, dose["quantity"], cells[dose["quantity"]], counting["value_usv"])
    if counting["is_counter"]:
        before = _time(dose["started_at"], zone)
        yield "counter", f"reading {_usv(counting['value_usv'])}; {_usv(dose['whole_usv'])} since the one at {before}"
    yield "time", _times(source, dose, zone)
    for line in _clock(con, dose):
        yield "clock", line
    yield "wearer", _wearer(dose)
    yield "disposition", _disposition(dose)
    yield "rule", _RULES.get(dose["reason"] or dose["disposition"], "contract, Linking")


def _version(version: Row) -> str:
    value = "below detection" if version["value_usv"] is None else _usv(version["value_usv"])
    place = f"{version['path']} line {version['line']} (load sequence {version['load_seq']})"
    return f"{value}, {place}: {_FATES[version['row_disposition']]}"


def _cells(site: Site, source: SourceDescription | None, dose: Row) -> tuple[dict[str, str] | None, str]:
    """The line's mapped cells as its file has them; if that cannot be had, why."""
    if source is None:
        return None, f"there is no sources/{dose['source_id']}.yaml any more"
    path = site.root / dose["path"]
    try:
        with path.open("rb") as content:
            sha256 = hashlib.file_digest(content, "sha256").hexdigest()
        if sha256 != dose["sha256"]:
            return None, "the file has other bytes now"
        return written_cells(path, source, [dose["line"]])[dose["line"]], ""
    except FileNotFoundError:
        return None, "the file no longer exists; its content was kept"
    except OSError as error:
        return None, f"the file cannot be read ({error.strerror})"
    except Refused as refused:
        return None, f"its source's description has changed: {refused.reason}"


def _conversion(source: SourceDescription, quantity: str, text: str, kept: Decimal | None) -> str:
    """How the text of a cell becomes microsievert: computed again, and compared with the stored value."""
    seconds = f" × {source.sample_seconds} s" if LAYOUTS[source.layout].is_rate else ""
    try:
        reading = reading_reader(source, quantity)(text)
    except UnreadableDose as error:
        return f"{text!r} {error}: its source's description has changed since"
    if reading is None or reading.value is None:
        return f"{text!r} means below detection: no value, adds 0"
    unit = f" {source.units[quantity]}" if quantity in source.units else ""  # else the text ends in it
    now = f"{text}{unit}{seconds} = {_usv(reading.value)}, rounded once, half-even"
    return now if reading.value == kept else f"{now}; {_usv(kept)} is kept: its source's description has changed since"


def _times(source: SourceDescription | None, dose: Row, zone: ZoneInfo) -> str:
    if dose["recorded_at"] is None:
        return "none stated"
    habit = ""
    if source is not None:
        habit = f" (clock of the source: {source.timezone}, {'with' if source.dst else 'without'} summer time)"
    lasting = f", lasting {dose['ended_at'] - dose['started_at']}" if dose["ended_at"] else ""
    return f"{_time(dose['started_at'], zone)}{lasting}{habit}"


def _clock(con: duckdb.DuckDBPyConnection, dose: Row) -> Iterator[str]:
    """What was added to the dosimeter's time to compare it with the modality's."""
    if dose["recorded_at"] is not None and dose["corrected_at"] != dose["recorded_at"]:
        yield f"{dose['corrected_at']:%H:%M:%S} UTC by the offset that clock_offsets.csv declares for the source"
    elif dose["clock_basis"] == "source" and dose["procedure_id"] is not None:
        yield "a reader without hubs: corrected only by a declared offset, and there is none"
    if dose["clock_basis"] == "room" and dose["procedure_id"] is not None:
        for offset in _rows(con, _OFFSET, [dose["procedure_id"]]):
            shift = offset["offset_s"] or 0
            at = dose["corrected_at"] - timedelta(seconds=shift)
            yield (
                f"{at:%Y-%m-%d %H:%M:%S.%f} UTC by the modality's clock: dosimeter minus modality is {shift:+.3f} s "
                f"± {offset['uncertainty_s'] or 0:.3f} s ({offset['method']}) in {offset['room_id']} "
                f"on {offset['offset_date']}"
            )


def _wearer(dose: Row) -> str:
    if dose["c_arm_room_id"]:
        return f"no operator: reference badge on the C-arm of {dose['c_arm_room_id']} (dosimeters.csv)"
    if dose["operator_id"]:
        return f"{dose['operator_id']}, {dose['worn_at'] or 'by corrections.csv'}"
    return "no operator: no single valid row of dosimeters.csv covers the day"


def _disposition(dose: Row) -> str:
    share = "" if dose["whole_usv"] == dose["dose_usv"] else f" of {_usv(dose['whole_usv'])}"
    said = f"{_usv(dose['dose_usv'])}{share}: {dose['disposition']}"
    where = [
        ("reason", dose["reason"]),
        ("procedure", dose["procedure_id"]),
        ("irradiation event", dose["irradiation_event_uid"]),
        ("candidates", dose["candidates"]),
    ]
    return said + "".join(f", {name} {value}" for name, value in where if value)


def _usv(value: Decimal | None) -> str:
    return "no value" if value is None else f"{value} µSv"


def _time(moment: datetime | None, zone: ZoneInfo) -> str:
    if moment is None:
        return "an unknown time"
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M:%S} {zone.key} = {moment:%Y-%m-%d %H:%M:%S} UTC"


# Why a dose went where it went, by its reason, else by its disposition (contract: Linking, ledger).
_RULES = {
    "event": "1 and 2: overlaps beam-on of exactly one room that the evidence allows",
    "window": "3: outside beam-on, within 60 s around exactly one procedure of these rooms",
    "session": "4: the one procedure that it overlaps among the candidates",
    "apportioned": "4: hourly residuals and sessions over several procedures are shared out, an estimate",
    "manual": "by hand: reference/links.csv names the procedure",
    "vendor": "5: the vendor's system put it to that study",
    "covered": "ledger: the badge's rate samples within the hour show it already; they have their own ways",
    "no_procedure": "3 and 4: no procedure of the allowed rooms at that time",
    "ambiguous_room": "2: beam-on in two rooms, and no evidence for one",
    "ambiguous_procedure": "3: within 60 s around several procedures",
    "multi_procedure": "4: several procedures, and no evidence to divide it by",
    "residual": "4: an hour's dose beyond its samples, with no procedure to belong to",
    "passive_period": "5: results of passive badges belong to no procedure",
    "unassigned_badge": "dosimeters.csv: no operator, or more than one, has the badge that day",
    "room_unknown": "0: its hub is not under hubs of the source",
    "clock_unknown": "6: no clock of the room for 7 days",
    "inside_dst_fold": "times: the local time happens twice and the source does not state which",
    "not_occupational": "corrections.csv: not the wearer's dose",
    "below_detection": "ledger: below detection has no value and adds 0",
}


# --- SQL -----------------------------------------------------------------------------------------------------------


def _rows(con: duckdb.DuckDBPyConnection, query: str, values: list[object] | None = None) -> list[Row]:
    result = con.execute(query, values or [])
    names = [column[0] for column in result.description or []]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


_GROUPS = """
    with parts as (select * from intermediate.int_disposition where {condition})

    select
        parts.dosimeter_serial, parts.operator_id, parts.c_arm_room_id, parts.quantity, parts.disposition, parts.reason,
        parts.source_id, files.path,
        min(parts.line) as first_line, max(parts.line) as last_line, count(*) as n, sum(parts.dose_usv) as sum_usv
    from parts
    join ledger.file as files using (load_seq)
    group by all
    order by quantity, sum_usv desc nulls last, dosimeter_serial, path, disposition, parts.reason
"""

_LARGEST = """
    with parts as (select * from intermediate.int_disposition where {condition})

    select
        parts.*, files.path, files.sha256, evidence.clock_basis, evidence.dose_usv as whole_usv,
        evidence.recorded_started_at as recorded_at, evidence.started_at as corrected_at
    from parts
    join ledger.file as files using (load_seq)
    join intermediate.int_dose_evidence as evidence using (dose_key)
    order by
        parts.c_arm_room_id is not null, parts.dose_usv desc nulls last, parts.load_seq, parts.line, parts.disposition
    limit 1
"""

_FATES = {
    "counted": "counts",
    "repeated": "repeat, counts once",
    "conflicting": "a higher value of the same file comes first",
    "replaced": "replaced by a newer file",
}

_VERSIONS = """
    select versions.*, files.path
    from intermediate.int_record_version as asked
    join intermediate.int_record_version as versions using (measurement_key)
    join ledger.file as files on versions.load_seq = files.load_seq
    join intermediate.int_file_reading as readings on versions.load_seq = readings.load_seq
    where asked.load_seq = ? and asked.line = ? and asked.quantity = ?
    order by readings.order_seq, versions.line
"""

_BADGE_DAYS = """
    select min(measured_date) as first, max(measured_date) as last
    from intermediate.int_disposition
    where dosimeter_serial = ?
"""

_OFFSET = """
    select offsets.*
    from marts.fct_procedure as procedures
    join ledger.clock_offset as offsets
        on procedures.room_id = offsets.room_id and procedures.procedure_date = offsets.offset_date
    where procedures.procedure_id = ?
"""
