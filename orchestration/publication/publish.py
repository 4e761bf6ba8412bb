"""The publication: refuses without a passing verdict of this build, writes one new folder, switches by one rename.

What a folder holds is snapshot.py's. Nothing here knows Dagster: the asset and the command line both call `publish`.
"""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb

from ingest.folders import GROUP_PASSES, make_folder
from ingest.raw.sql_text import literal
from orchestration.product import git_commit, product_version
from orchestration.publication.build_record import Build, last_build
from orchestration.publication.history import (
    CURRENT,
    KEEP,
    ROLLED_BACK_FROM,
    UNFINISHED,
    Current,
    PublishRefused,
    current_publication,
    history_folder,
    holds,
    point,
    prune,
    unfinished,
)
from orchestration.publication.own_tables import ALERT_HISTORY, CHECK_RESULT, PUBLICATION, OwnTable
from orchestration.publication.published_files import readable
from orchestration.publication.snapshot import (
    RESTRICTED,
    aggregates_of,
    make_durable,
    rules_of,
    seen_rows,
    sources_of,
    sync,
    write_snapshot,
)

CONTRACT_VERSION = 2
OWN_TABLES: dict[str, OwnTable] = {
    "publication": PUBLICATION,
    "alert_history": ALERT_HISTORY,
    "check_result": CHECK_RESULT,
}


@dataclass(frozen=True)
class Publication:
    """What was published.

    Attributes:
        folder: the publication's folder.
        is_current: False for an as-of date before the current publication's: `current` is unchanged, no letter is sent.
        rows_by_table: rows of each table as medical physics sees it.
        removed: a publication that was killed before readers saw it, and was removed.
    """

    run_id: str
    folder: Path
    as_of: date
    is_current: bool
    previous_run_id: str | None
    checks_passed: int
    rows_by_table: dict[str, int]
    removed: str | None = None


@dataclass(frozen=True)
class NothingNew:
    """The current publication already holds this input for this as-of date.

    Attributes:
        removed: as of `Publication`.
    """

    run_id: str
    folder: Path
    as_of: date
    removed: str | None = None


def publish(
    build_db: Path,
    published_dir: Path,
    *,
    even_if_same: bool = False,
    keep: int = KEEP,
    now: datetime | None = None,
    zone: str = "UTC",
    add: Callable[[Path], None] | None = None,
) -> Publication | NothingNew:
    """Publish the last build, or raise with the reason.

    Args:
        build_db: the build database; no process has it open for writing.
        published_dir: ``<data_dir>/published``.
        even_if_same: publish again what the current publication holds.
        keep: how many publications stay, this one included (history.prune).
        now: the instant of publication (UTC); default: the clock.
        zone: the site's time zone: nothing is published as of a date later than today there.
        add: writes what else belongs in the folder, from its databases, before it becomes readable.

    Raises:
        PublishRefused: the last build is missing, interrupted, failed, partial, unjudged, blocked by the gate or of a
            date to come, or `current` cannot be read. The old publication stays.
        OSError, duckdb.Error: the disk is full or not writable. The old publication stays.
    """
    now = now or datetime.now(UTC)
    if not build_db.exists():
        raise PublishRefused("Nothing was built yet: run `doseledger run` first.")
    current = current_publication(published_dir)
    removed = _remove_leftovers(published_dir)
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        con.execute(f"attach {literal(build_db)} as build (read_only)")
        build = last_build(con, "build")
        if build is None:
            raise PublishRefused("Nothing was built yet: run `doseledger run` first.")
        if build.blocked_by:
            raise PublishRefused("\n".join(build.blocked_by))
        if build.as_of > (today := now.astimezone(ZoneInfo(zone)).date()):
            raise PublishRefused(f"The last build is as of {build.as_of}, later than today at the site ({today}).")
        is_same = current and build.input_fingerprint and holds(current, build.input_fingerprint, build.as_of)
        if current and is_same and not even_if_same:
            return NothingNew(current.run_id, current.folder, current.as_of, removed)
        if becomes_current(build.as_of, current):
            prune(published_dir, keep - 1, now)  # before: it makes room for what comes
        return replace(_publish(con, build, current, published_dir, now, add), removed=removed)


def _publish(
    con: duckdb.DuckDBPyConnection,
    build: Build,
    current: Current | None,
    published_dir: Path,
    now: datetime,
    add: Callable[[Path], None] | None,
) -> Publication:
    run_id = f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
    is_current = becomes_current(build.as_of, current)
    parent = published_dir / ("runs" if is_current else "as_of")
    make_folder(parent, GROUP_PASSES)
    folder = parent / f".{run_id}.tmp"
    folder.mkdir(mode=0o700)  # not readable for others before its files have their modes

    _carry_on_history(con, history_folder(published_dir, current))
    if is_current:
        _write_history(con, run_id)
    _write_check_results(con, run_id, build)
    own = {f"ledger.{name}": f"memory.main.{name}" for name in OWN_TABLES}
    sources = sources_of(con, "build", own)
    publication = Publication(
        run_id=run_id,
        folder=parent / (run_id if is_current else build.as_of.isoformat()),
        as_of=build.as_of,
        is_current=is_current,
        previous_run_id=current.run_id if current else None,
        checks_passed=build.checks_passed,
        rows_by_table=seen_rows(con, [source for source in sources if source.name != "ledger.publication"]),
    )
    _write_publication(con, publication, build, now)
    write_snapshot(con, folder, run_id, sources, aggregates_of(con, "build"), rules_of(con, "build"))
    if add:
        add(folder)
    make_durable(folder)
    if is_current:
        _switch(folder, publication.folder, published_dir)
    else:
        _replace(folder, publication.folder)
    return publication


def becomes_current(as_of: date, current: Current | None) -> bool:
    """Whether a publication of that date takes the place of the current one, if there is one."""
    return current is None or as_of >= current.as_of


def _carry_on_history(con: duckdb.DuckDBPyConnection, newest: Path | None) -> None:
    """History lives in the publications: it survives a rebuild, and a crash before the switch leaves no trace."""
    for name, table in OWN_TABLES.items():
        table.create(con, name)
    if newest:
        with readable(newest / RESTRICTED) as previous:
            con.execute(f"attach {literal(previous)} as previous (read_only)")
            held = con.execute("select table_name from duckdb_tables() where database_name = 'previous'").fetchall()
            for name in OWN_TABLES:
                if name != "check_result" or (name,) in held:  # publications of earlier versions have none
                    con.execute(f"insert into {name} by name select * from previous.ledger.{name}")
            con.execute("detach previous")


def _write_history(con: duckdb.DuckDBPyConnection, run_id: str) -> None:
    """A finding keeps its first value and threshold; one that is no longer there is marked, never removed."""
    con.execute(
        """
        create temporary table history as
        select
            alert_id,
            coalesce(known.first_run, $run_id) as first_run,
            case when found.alert_id is null then known.last_run else $run_id end as last_run,
            case when found.alert_id is null then coalesce(known.withdrawn_run, $run_id) end as withdrawn_run,
            case when known.alert_id is null then found.value else known.first_value end as first_value,
            case when known.alert_id is null then found.threshold else known.first_threshold end as first_threshold,
            coalesce(found.audience, known.audience) as audience
        from alert_history as known
        full join build.alerts.alert as found using (alert_id)
        order by alert_id
        """,
        {"run_id": run_id},
    )
    con.execute("truncate alert_history")
    con.execute("insert into alert_history by name from history")


def _write_check_results(con: duckdb.DuckDBPyConnection, run_id: str, build: Build) -> None:
    con.execute(
        "insert into check_result by name select $run_id as run_id, * exclude (build_id)"
        " from build.ops.check_result where build_id = $build_id order by check_id",
        {"run_id": run_id, "build_id": build.build_id},
    )


def _write_publication(con: duckdb.DuckDBPyConnection, publication: Publication, build: Build, now: datetime) -> None:
    (key_id,) = con.execute("select key_id from build.raw.warehouse").fetchone() or (None,)
    con.execute(
        "insert into publication values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            publication.run_id,
            now,
            publication.as_of,
            CONTRACT_VERSION,
            product_version(),
            git_commit(),
            key_id,
            publication.checks_passed,
            json.dumps(publication.rows_by_table),
            publication.previous_run_id,
            build.build_id,
            build.input_fingerprint,
        ],
    )


def _switch(folder: Path, target: Path, published_dir: Path) -> None:
    """The only moment at which readers see anything: until `current` is renamed it names the old publication."""
    point(published_dir / UNFINISHED, target.name)
    folder.replace(target)
    sync(target.parent)
    point(published_dir / CURRENT, target.name)
    (published_dir / ROLLED_BACK_FROM).unlink(missing_ok=True)  # its history goes on here
    (published_dir / UNFINISHED).unlink()


def _replace(folder: Path, target: Path) -> None:
    """A folder for an earlier as-of date takes the place of the one before; between two renames there is none."""
    if target.exists():
        target.replace(target.with_name(f".{target.name}.old.tmp"))
    folder.replace(target)
    sync(target.parent)
    _remove_leftovers(target.parents[1])


def _remove_leftovers(published_dir: Path) -> str | None:
    """What a killed run left behind, never named by `current`; returns the run of an unfinished publication."""
    left = unfinished(published_dir)
    if left:
        left.replace(left.with_name(f".{left.name}.tmp"))
    (published_dir / UNFINISHED).unlink(missing_ok=True)
    for folder in (*published_dir.glob("runs/.*.tmp"), *published_dir.glob("as_of/.*.tmp")):
        shutil.rmtree(folder)
    for link in (CURRENT, ROLLED_BACK_FROM, UNFINISHED):
        (published_dir / f".{link}.tmp").unlink(missing_ok=True)
    return left.name if left else None
