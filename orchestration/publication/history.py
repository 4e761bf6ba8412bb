"""The publications on disk: list, current one, return to an earlier one, removal.

publish.py creates a publication, snapshot.py its files. No build database is read here.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import duckdb

from ingest.problems import UserError
from orchestration.publication.published_files import open_published
from orchestration.publication.snapshot import RESTRICTED, WAREHOUSE, sync

CURRENT = "current"
# Where history goes on while `current` names an earlier publication; removed by the next publication.
ROLLED_BACK_FROM = "rolled_back_from"
# Names a publication from before it gets its name until `current` names it: after a kill in between it is unfinished.
UNFINISHED = ".unfinished"

KEEP = 30
KEEP_VARIABLE = "DOSELEDGER_KEEP_PUBLICATIONS"
# A clock that is set by the network may go back by so much.
CLOCK_STEP = timedelta(minutes=10)
# A reader that resolved `current` may open further files of that folder for so long after it was superseded.
GRACE = timedelta(days=1)


class PublishRefused(UserError):
    """Nothing was published; the message is one or more sentences for the user."""


class Entry(NamedTuple):
    """One row of ledger.publication; ``published_at`` is an instant (UTC)."""

    run_id: str
    published_at: datetime
    as_of: date
    checks_passed: int
    previous_run_id: str | None
    input_fingerprint: str | None


class Clock(NamedTuple):
    """This computer's clock: the instant (UTC), and the site's local date of it."""

    now: datetime
    today: date

    def is_before(self, publication: Current | Entry) -> bool:
        """Whether a publication is of a time to come: made for a later date, or at a later instant."""
        return publication.as_of > self.today or publication.published_at > self.now + CLOCK_STEP


@dataclass(frozen=True)
class Current:
    """The publication that `current` names."""

    run_id: str
    folder: Path
    published_at: datetime
    as_of: date
    input_fingerprint: str | None


@dataclass(frozen=True)
class Kept:
    """One folder of ``published/runs``.

    Attributes:
        entry: its own row of ledger.publication; None if it cannot be read.
        size_bytes: of all its files.
        is_current: whether `current` names it.
    """

    folder: Path
    entry: Entry | None
    size_bytes: int
    is_current: bool

    @property
    def run_id(self) -> str:
        """Name of the publication and of its folder."""
        return self.folder.name


def current_publication(published_dir: Path) -> Current | None:
    """The publication that `current` names; None if there is none yet.

    Raises:
        PublishRefused: `current` is there but cannot be read, so that history would be lost by going on.
    """
    link = published_dir / CURRENT
    if not link.is_symlink() and not link.exists():
        return None
    entry = _named_by(link)
    return Current(entry.run_id, link.resolve(), entry.published_at, entry.as_of, entry.input_fingerprint)


def holds(current: Current, input_fingerprint: str, as_of: date) -> bool:
    """Whether a publication of this build would be the same."""
    return (current.input_fingerprint, current.as_of) == (input_fingerprint, as_of)


def history_folder(published_dir: Path, current: Current | None) -> Path | None:
    """The folder whose ledger lists every publication: `current`'s, or after a rollback the one it went back from.

    Raises:
        PublishRefused: that folder cannot be read, so that history would be lost by going on.
    """
    newest = rolled_back_from(published_dir, current)
    return published_dir / "runs" / newest if newest else current.folder if current else None


def rolled_back_from(published_dir: Path, current: Current | None) -> str | None:
    """Run that `current` was taken back from; None if it names the newest publication.

    A link that a killed run left behind does not count: its publication has the run in its ledger.

    Raises:
        PublishRefused: the link is there but cannot be read.
    """
    link = published_dir / ROLLED_BACK_FROM
    if not link.is_symlink():
        return None
    newest = _named_by(link).run_id
    is_known = current and newest in {entry.run_id for entry in _ledger(current.folder)}
    return None if is_known else newest


def unfinished(published_dir: Path) -> Path | None:
    """The folder of a publication that was killed before `current` named it; None if there is none."""
    link = published_dir / UNFINISHED
    switched = {(published_dir / name).resolve() for name in (CURRENT, ROLLED_BACK_FROM)}
    return link.resolve() if link.is_dir() and link.resolve() not in switched else None


def publications(published_dir: Path) -> list[Kept]:
    """Every publication on disk, the newest first; those that cannot be read come last. An unfinished one is none."""
    current, left = (published_dir / CURRENT).resolve(), unfinished(published_dir)
    kept = []
    for folder in published_dir.glob("runs/[!.]*"):
        if folder.resolve() == left:
            continue
        try:
            entry = _entry(folder)
        except duckdb.Error:
            entry = None
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        kept.append(Kept(folder, entry, size, folder.resolve() == current))
    return sorted(kept, key=lambda one: (one.entry.published_at.timestamp() if one.entry else 0, one.run_id))[::-1]


def roll_back(published_dir: Path, clock: Clock, run_id: str | None = None) -> Kept:
    """Lets `current` name an earlier publication again, by one rename; history continues from the newest.

    Args:
        published_dir: ``<data_dir>/published``; no other process publishes meanwhile.
        clock: no publication of a time to come is gone back to.
        run_id: where to; None = the publication that the current one took the place of, or, where that one is of a time
            to come, the newest that is not.

    Raises:
        UserError: there is no such publication, or it cannot be read; nothing was changed.
        OSError: the folder cannot be written.
    """
    kept = {one.run_id: one for one in publications(published_dir)}
    now = next((one for one in kept.values() if one.is_current), None)
    wanted = run_id or _before(now, kept, clock)
    target = kept.get(wanted)
    if target is None or target.entry is None or not _is_whole(target):
        raise UserError(
            f"The publication {wanted} is not there or cannot be read; nothing was changed."
            " `doseledger publications` lists those that one can go back to."
        )
    if clock.is_before(target.entry):
        raise UserError(f"The publication {wanted} is of a time to come; nothing was changed.")
    newest = _newest(published_dir, kept, now)
    if target.run_id == newest:
        point(published_dir / CURRENT, target.run_id)
        (published_dir / ROLLED_BACK_FROM).unlink(missing_ok=True)
    else:  # first where history goes on, so that a crash between the two loses none of it
        point(published_dir / ROLLED_BACK_FROM, newest)
        point(published_dir / CURRENT, target.run_id)
    return target


def take_back_all(published_dir: Path, clock: Clock) -> None:
    """Takes `current` away where every publication is of a time to come; the next run goes on with their history.

    Raises:
        UserError: one is not, so that it can be gone back to, or there is none; nothing was changed.
        OSError: the folder cannot be written.
    """
    kept = {one.run_id: one for one in publications(published_dir)}
    entries = [one.entry for one in kept.values() if one.entry]
    if not entries or not all(map(clock.is_before, entries)):
        raise UserError(
            "There is a publication that is not of a time to come, or none: `doseledger rollback` finds it."
        )
    now = next((one for one in kept.values() if one.is_current), None)
    point(published_dir / ROLLED_BACK_FROM, _newest(published_dir, kept, now))
    (published_dir / CURRENT).unlink(missing_ok=True)
    sync(published_dir)


def point(link: Path, run_id: str) -> None:
    """Lets a link below ``published/`` name a publication, by one rename: readers see the old one or the new one."""
    new = link.with_name(f".{link.name}.tmp")
    new.unlink(missing_ok=True)
    new.symlink_to(Path("runs") / run_id)
    new.replace(link)
    sync(link.parent)


def keep_wanted(environ: Mapping[str, str]) -> int:
    """How many publications are to stay, from the environment.

    Raises:
        UserError: not a whole number of 1 or more.
    """
    text = environ.get(KEEP_VARIABLE, str(KEEP))
    if not text.isdecimal() or int(text) < 1:
        raise UserError(f"{KEEP_VARIABLE} must be a whole number of 1 or more: how many publications are kept.")
    return int(text)


def prune(published_dir: Path, keep: int, now: datetime) -> list[str]:
    """Removes the oldest publications until `keep` are left; returns those removed.

    Never removed: what `current` and `rolled_back_from` name, what readers may have opened within the last day, what
    cannot be read, and everything below ``as_of/``. A reader that still has a removed file open finishes on it.

    Raises:
        OSError: a folder cannot be removed.
    """
    if len(list(published_dir.glob("runs/[!.]*"))) <= keep:
        return []
    kept = [one for one in publications(published_dir) if one.entry]
    entries = [one.entry for one in kept if one.entry]
    named = {(published_dir / name).resolve() for name in (CURRENT, ROLLED_BACK_FROM)}
    removed = []
    for one in kept[keep:]:
        ended_at = _ended_at(one.run_id, entries)
        if one.folder.resolve() not in named and ended_at and ended_at < now - GRACE:
            # Hidden first: a folder that is half removed must not look like a publication.
            hidden = one.folder.with_name(f".{one.run_id}.tmp")
            one.folder.replace(hidden)
            shutil.rmtree(hidden)
            removed.append(one.run_id)
    return removed


def _ended_at(run_id: str, entries: Sequence[Entry]) -> datetime | None:
    """When a publication was current for the last time: at the next publication, or at one that took its place."""
    (own,) = (entry for entry in entries if entry.run_id == run_id)
    later = [entry.published_at for entry in entries if entry.published_at > own.published_at]
    took_its_place = [entry.published_at for entry in entries if entry.previous_run_id == run_id]
    return max([min(later), *took_its_place]) if later else None


def _newest(published_dir: Path, kept: Mapping[str, Kept], now: Kept | None) -> str:
    """Run whose ledger history goes on from; where `current` cannot be read, the newest one that can."""
    if now and now.entry:
        current = Current(now.run_id, now.folder, now.entry.published_at, now.entry.as_of, now.entry.input_fingerprint)
        return rolled_back_from(published_dir, current) or now.run_id
    return next(one.run_id for one in kept.values() if one.entry)


def _before(now: Kept | None, kept: Mapping[str, Kept], clock: Clock) -> str:
    if now is None or now.entry is None:
        raise UserError("`current` names no publication that can be read: say which one to go back to, by its run id.")
    if clock.is_before(now.entry):
        past = [run_id for run_id, one in kept.items() if one.entry and not clock.is_before(one.entry)]
        if not past:
            raise UserError(
                f"By this computer's clock ({clock.now:%Y-%m-%d %H:%M} UTC) every publication is of a time to come: set"
                " the clock; if it is right, `doseledger rollback --all` takes `current` away until the next run."
            )
        return past[0]
    if now.entry.previous_run_id is None:
        raise UserError(f"There is nothing before {now.run_id}: it is the first publication.")
    return now.entry.previous_run_id


def _is_whole(kept: Kept) -> bool:
    """Whether readers of every audience find their file."""
    try:
        with open_published(kept.folder / WAREHOUSE) as con:
            row = con.execute("select 1 from ledger.publication where run_id = ?", [kept.run_id]).fetchone()
    except duckdb.Error:
        return False
    return kept.entry is not None and row is not None and (kept.folder / "parquet").is_dir()


def _named_by(link: Path) -> Entry:
    folder = link.resolve()
    try:
        entry = _entry(folder)
    except duckdb.Error as error:
        raise PublishRefused(
            f"{link} names a publication that cannot be read ({error}). Let it name a whole one: `doseledger rollback`"
            " with a run id of `doseledger publications`; without it the history of findings would be lost."
        ) from error
    if entry is None:
        raise PublishRefused(f"{link} names a folder whose ledger.publication does not know it: {folder.name}.")
    return entry


def _entry(folder: Path) -> Entry | None:
    """A publication's own row of its ledger; None if it has none."""
    return next((entry for entry in _ledger(folder) if entry.run_id == folder.name), None)


def _ledger(folder: Path) -> list[Entry]:
    with open_published(folder / RESTRICTED) as con:
        con.execute("set TimeZone = 'UTC'")
        rows = con.execute(f"select {', '.join(Entry._fields)} from ledger.publication").fetchall()
    return [Entry(*row) for row in rows]
