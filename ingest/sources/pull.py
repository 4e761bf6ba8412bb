"""Pulling dose reports from the PACS that site.yaml names: what is there, what is new, what failed; in any protocol.

Only the order of things lives here. How a server is asked is in ``dicomweb.py`` and ``dimse.py``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Protocol

from ingest.dose_reports.dicom_file import ENHANCED_XRAY_DOSE_SR, GENERAL_SRS, XRAY_DOSE_SR, Identity
from ingest.problems import UserError
from ingest.site import Site
from ingest.sources.store import ReceivedStore

# What may be a dose report. An object whose class the server does not tell is fetched: the reader will say what it is.
WANTED_CLASSES = frozenset({XRAY_DOSE_SR, ENHANCED_XRAY_DOSE_SR, *GENERAL_SRS})


@dataclass(frozen=True, slots=True)
class Reference:
    """Where an object is on its server."""

    identity: Identity
    sop_class_uid: str | None


@dataclass(frozen=True, slots=True)
class Period:
    """Study dates, both included. An open one goes on after ``until``, for devices whose clock is ahead."""

    since: date
    until: date
    is_open: bool


class SourceFailed(UserError):
    """The server cannot be used now; nothing more is asked of it in this run. The text is for a person."""


class ObjectFailed(UserError):
    """One object cannot be fetched; others may be. The text is for a person."""


class Source(Protocol):
    """A server that has dose reports."""

    @property
    def lookback_days(self) -> int:
        """How many days before the run's date the search begins."""

    @property
    def address(self) -> str:
        """Which server this is, without secrets."""

    def find(self, period: Period) -> Iterator[Reference]:
        """Structured reports of studies in a period; raises SourceFailed."""

    def fetch(self, identity: Identity) -> list[bytes]:
        """The object as a DICOM file, and others that came with it; raises SourceFailed, ObjectFailed."""

    def close(self) -> None:
        """End the conversation."""


@dataclass(slots=True)
class Pulled:
    """What pulling from one server did.

    Attributes:
        source: the key of site.yaml and the server's address.
        found: objects of classes that may be dose reports, in the period asked for.
        stored: of these, kept now.
        known: of these, kept before.
        failures: what went wrong, one sentence each; empty if all that was found is kept.
    """

    source: str
    found: int = 0
    stored: int = 0
    known: int = 0
    failures: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.source}: {self.found} dose reports found, {self.stored} stored, {self.known} already there."


def pull_all(site: Site, as_of: date, today: date, environ: Mapping[str, str] = os.environ) -> list[Pulled]:
    """Fetch what the site's servers have and the site has not. A server that fails does not stop the others.

    The period begins ``lookback_days`` before `as_of`, or before the last day up to which everything was fetched if
    that is earlier, so that an outage of any length is made up for.

    Args:
        site: the site.
        as_of: local date that the run is for.
        today: local date now.
        environ: holds what ``username_env`` and ``password_env`` name.

    Raises:
        UserError: what was fetched cannot be kept.
    """
    store, marks = ReceivedStore.of(site), _Marks(site.data_dir / "pulled.json")
    until = min(as_of, today)
    results = []
    for source in sources(site, environ):
        reached = marks.read().get(source.address, until)
        since = min(reached, until) - timedelta(days=source.lookback_days)
        period = Period(since, until, is_open=as_of >= today)
        try:
            result = _pull(source, period, store)
        except OSError as error:
            raise UserError(
                f"What {source.address} sent cannot be kept below {store.folder} ({error.strerror}); mend that."
            ) from error
        if not result.failures:
            marks.move_on(source.address, until)
        results.append(result)
    return results


def sources(site: Site, environ: Mapping[str, str]) -> Iterator[Source]:
    """The servers of site.yaml; their libraries are loaded only where one is named."""
    reports = site.config.dose_reports
    if reports.dicomweb is not None:
        from ingest.sources.dicomweb import DicomWebSource

        yield DicomWebSource(reports.dicomweb, environ)
    if reports.dimse is not None:
        from ingest.sources.dimse import DimseSource

        yield DimseSource(reports.dimse)


def _pull(source: Source, period: Period, store: ReceivedStore) -> Pulled:
    result = Pulled(source.address)
    try:
        for reference in source.find(period):
            if reference.sop_class_uid in WANTED_CLASSES or reference.sop_class_uid is None:
                _fetch(source, reference.identity, store, result)
    except SourceFailed as failed:
        result.failures.append(str(failed))
    finally:
        source.close()
    return result


def _fetch(source: Source, identity: Identity, store: ReceivedStore, result: Pulled) -> None:
    result.found += 1
    if store.holds(identity):
        result.known += 1
        return
    try:
        is_new = [store.keep(content) for content in source.fetch(identity)]
    except ObjectFailed as failed:
        result.failures.append(str(failed))
    else:
        result.stored += any(is_new)
        result.known += not any(is_new)


@dataclass(frozen=True, slots=True)
class _Marks:
    """Up to which local date everything of a server was fetched, by its address; a small file that may be deleted."""

    path: Path

    def read(self) -> dict[str, date]:
        if not self.path.exists():
            return {}
        return {address: date.fromisoformat(day) for address, day in json.loads(self.path.read_bytes()).items()}

    def move_on(self, address: str, day: date) -> None:
        marks = self.read()
        marks[address] = max(day, marks.get(address, day))
        self.path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self.path.with_suffix(".new")
        unfinished.write_text(json.dumps({name: mark.isoformat() for name, mark in marks.items()}), "utf-8")
        unfinished.replace(self.path)
