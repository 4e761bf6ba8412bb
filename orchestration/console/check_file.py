"""`check --file`: how one export would be read, before anything is loaded.

Chooses the source and prints the preview of ``ingest/dosimeters/preview.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.markup import escape

from ingest.dosimeters.description import SourceDescription
from ingest.dosimeters.preview import Preview, preview_export
from ingest.dosimeters.reader import ignored_units, read_export
from ingest.problems import UserError
from ingest.raw.build_db import read_any_build
from ingest.raw.file_ledger import DOSIMETER_FOLDER
from ingest.raw.stores import LARGE_BYTES, MB, source_of
from ingest.records import DoseRow, Refused
from ingest.site.config import Site, load_site
from orchestration.console.aligned import aligned

MOST_NAMES = 12
Progress = Callable[[str, int, int], None]


def check_export(root: Path, export: Path, out: Console, progress: Progress) -> bool:
    """Prints how an export would be read; False if it would be quarantined. Writes nothing.

    Raises:
        UserError: the site or the file cannot be read, or it fits several sources.
    """
    site = load_site(root)
    zone = ZoneInfo(site.config.timezone)
    try:
        source = _source(site, export)
        out.print(f"[bold]{escape(export.name)}[/] is read by sources/{source.source_id}.yaml ({source.layout})")
        procedures = _procedures(site)
        preview = preview_export(export, source, _progress_of(export, progress), _latest(zone), procedures)
    except Refused as refused:
        out.print(f"[red]✗[/] {escape(export.name)} would be quarantined: {escape(refused.reason)}")
        return False
    except OSError as error:
        raise UserError(f"{export} cannot be read ({error.strerror}).") from None
    for line in _first_rows(preview, source, zone):
        out.print(escape(line))
    counts = [*_counts(preview, source, zone), _near_procedures(preview, procedures)]
    for line in [*counts, *_warnings(preview, source, site), *_problems(preview)]:
        out.print(line)
    out.print("Nothing was loaded.")
    return True


def _procedures(site: Site) -> list[tuple[datetime, datetime]]:
    """Begin and end of each procedure of the last build; none before the first run."""
    if not site.build_db.exists():
        return []
    with read_any_build(site) as con:
        if not con.execute("select 1 from duckdb_tables() where table_name = 'fct_procedure'").fetchall():
            return []
        return con.execute("select started_at, ended_at from marts.fct_procedure order by started_at").fetchall()


def _near_procedures(preview: Preview, procedures: Sequence[tuple[datetime, datetime]]) -> str:
    if not procedures:
        return "Within a day of a known procedure: not known, because no run has read a dose report yet."
    share = f"{preview.n_near:,} of {preview.n_rows:,} rows ({len(procedures):,} procedures are known)"
    sign = "" if preview.n_near or not preview.n_rows else "[yellow]![/] "
    advice = " Are date format, time zone and dose reports those of this export?" if sign else ""
    return f"{sign}Within a day of a known procedure: {share}.{advice}"


def _latest(zone: ZoneInfo) -> datetime:
    """The end of tomorrow: clocks differ by less than a day."""
    return datetime.combine(datetime.now(zone).date() + timedelta(days=2), time(), zone)


def _progress_of(export: Path, progress: Progress) -> Callable[[int], None] | None:
    """Progress in MB for a file that takes its time."""
    size = export.stat().st_size
    if size < LARGE_BYTES:
        return None
    return lambda done: progress(export.name, done // MB, size // MB)


def _source(site: Site, export: Path) -> SourceDescription:
    """The source in whose inbox folder the file lies; of a file elsewhere the only one that its name and header fit."""
    inbox = (site.root / DOSIMETER_FOLDER).resolve()
    if export.resolve().is_relative_to(inbox):
        parts = export.resolve().relative_to(inbox).parts
        return source_of(parts[0] if len(parts) > 1 else None, export.name, site)
    refusals: dict[str, str] = {}
    fitting: list[SourceDescription] = []
    for source_id in site.sources:
        try:
            source = source_of(source_id, export.name, site)
            next(read_export(export, source), None)
            fitting.append(source)
        except Refused as refused:
            refusals[source_id] = refused.reason
    if len(fitting) > 1:
        names = ", ".join(source.source_id for source in fitting)
        raise UserError(
            f"{export.name} fits several sources ({names}), and its folder decides: put it into "
            f"{DOSIMETER_FOLDER}/<source_id>/ and check it there."
        )
    if not fitting:
        said = "; ".join(f"{source_id}: {reason}" for source_id, reason in refusals.items())
        raise Refused("quarantined", f"it fits no source. {said}" if said else "the site has no sources/*.yaml")
    return fitting[0]


def _first_rows(preview: Preview, source: SourceDescription, zone: ZoneInfo) -> list[str]:
    value = "reading, µSv" if _is_counter(source) else "dose, µSv"
    header = ("line", "badge", "quantity", "written", value, f"from, {zone.key}", "from, UTC", "to, UTC", "")
    rows = [
        (
            str(row.line),
            row.dosimeter_serial,
            row.quantity,
            _written(row, preview, source),
            "below detection" if row.value_usv is None else str(row.value_usv),
            f"{_local(row.started_at, zone)}{' (happens twice)' if row.is_ambiguous else ''}",
            _utc(row.started_at),
            _utc(row.ended_at),
            _belongs_to(row),
        )
        for row in preview.first
    ]
    return aligned(header, rows, right=("line", "written", value))


def _written(row: DoseRow, preview: Preview, source: SourceDescription) -> str:
    """The cell as the file has it, and the unit; where each row has its own, the text ends in it."""
    unit = source.units.get(row.quantity) if row.token is None else None
    return " ".join(filter(None, [preview.written[row.line][row.quantity], unit]))


def _belongs_to(row: DoseRow) -> str:
    """Other columns of the row that link the dose."""
    return row.hub or row.study_instance_uid or row.accession_number or ""


def _is_counter(source: SourceDescription) -> bool:
    return source.layout == "counter_log" or (source.layout == "hourly_totals" and source.counter == "cumulative")


def _counts(preview: Preview, source: SourceDescription, zone: ZoneInfo) -> Iterator[str]:
    yield f"Rows: {preview.n_rows:,} would load, {preview.reasons.total():,} would be rejected."
    yield f"Badges: {len(preview.badges)} ({_names(preview.badges)})."
    if preview.begin is not None:
        yield f"Times: {_local(preview.begin, zone)} to {_local(preview.end, zone)} {zone.key}."
    if not _is_counter(source):
        for quantity, total in preview.sums_usv.items():
            yield f"Sum of {quantity}: {total:,.9f} µSv."
    if preview.tokens:
        yield f"Below detection: {preview.tokens:,} rows without a value."


def _warnings(preview: Preview, source: SourceDescription, site: Site) -> Iterator[str]:
    """What loads and will yet not be linked."""
    known = {row["dosimeter_serial"] for row in site.reference["dosimeters"].rows}
    strange = [badge for badge in preview.badges if badge not in known]
    if strange:
        yield f"[yellow]![/] Not in reference/dosimeters.csv, so of no operator: {_names(strange)}."
    unplaced = [hub for hub in preview.hubs if hub not in source.hubs]
    if unplaced:
        yield f"[yellow]![/] Not under hubs of sources/{source.source_id}.yaml, so in no room: {_names(unplaced)}."
    for column, units in preview.ignored_units.items():
        yield f"[yellow]![/] {_ignored_unit(source, column, units)}"
    if preview.n_future:
        yield f"[yellow]![/] Later than tomorrow, so in no figure yet: {preview.n_future:,} rows. Is the clock right?"
    for finding in preview.findings:
        yield f"[yellow]![/] {escape(finding.message)}."
    if preview.n_ambiguous:
        yield f"[yellow]![/] At a local time that happens twice, so not to be linked: {preview.n_ambiguous:,} rows."


def _ignored_unit(source: SourceDescription, column: str, units: list[str]) -> str:
    return (
        f"sources/{source.source_id}.yaml ignores column {escape(repr(column))}, which holds units ({_names(units)}): "
        f"write it under unit_column in place of units, so that each row is read in its own."
    )


def ignored_units_of_sources(site: Site) -> Iterator[str]:
    """A warning for each source whose newest readable export has units in a column that the source ignores."""
    for source_id, source in site.sources.items():
        if source.ignored_columns:
            found = next(_ignored_units_from_newest(site.root / DOSIMETER_FOLDER / source_id, source), {})
            yield from (_ignored_unit(source, column, units) for column, units in found.items())


def _ignored_units_from_newest(folder: Path, source: SourceDescription) -> Iterator[dict[str, list[str]]]:
    """What ``ignored_units`` finds in each readable export of a folder, from the newest on."""
    exports = [path for path in folder.rglob("*") if path.is_file()]
    for path in sorted(exports, key=lambda path: path.stat().st_mtime_ns, reverse=True):
        try:
            yield ignored_units(path, source)
        except (Refused, OSError):  # 'check --file' and the run report it with its reason
            continue


def _problems(preview: Preview) -> Iterator[str]:
    for row in preview.problems:
        yield f"[red]✗[/] line {row.line}: {escape(row.reason)}"
    if preview.reasons.total() > len(preview.problems):
        yield f"… and {preview.reasons.total() - len(preview.problems):,} more rejected rows; all by reason:"
        for reason, count in preview.reasons.most_common(MOST_NAMES):
            yield f"  {count:,} × {escape(reason)}"


def _names(names: Iterable[str]) -> str:
    shown = sorted(names)
    more = f" and {len(shown) - MOST_NAMES} more" if len(shown) > MOST_NAMES else ""
    return escape(", ".join(shown[:MOST_NAMES])) + more


def _local(moment: datetime | None, zone: ZoneInfo) -> str:
    return "" if moment is None else f"{moment.astimezone(zone):%Y-%m-%d %H:%M:%S}"


def _utc(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S}"
