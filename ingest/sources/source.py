"""A server of dose reports as the search sees it: its questions, what their answers hold, how they may fail.

Only the shared types are here. The protocols are in ``dicomweb.py`` and ``dimse.py``, the search is in ``pull.py``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import NamedTuple, Protocol

from ingest.dose_reports.dicom_file import ENHANCED_XRAY_DOSE_SR, GENERAL_SRS, XRAY_DOSE_SR, Identity
from ingest.problems import UserError

# What may be a dose report. An object whose class the server does not state is fetched: the reader decides.
WANTED_CLASSES = frozenset({XRAY_DOSE_SR, ENHANCED_XRAY_DOSE_SR, *GENERAL_SRS})
_UID = re.compile(r"[\w.-]{1,128}", re.ASCII)  # the standard has 64 digits and dots; some devices exceed it


class SourceFailed(UserError):
    """The server cannot be used now; nothing more is requested from it in this run. The text is for the user."""


class ObjectFailed(UserError):
    """One study, series or object cannot be had; others may be. The text is for the user."""


@dataclass(frozen=True, slots=True)
class Days:
    """Study dates from ``since`` to ``until``, both included; without ``until`` all later ones, too."""

    since: date
    until: date | None


@dataclass(frozen=True, slots=True)
class Period:
    """Study dates, both included. An open one goes on after ``until``, for devices whose clock is ahead."""

    since: date
    until: date
    is_open: bool

    def days(self) -> Iterator[Days]:
        """Day by day, the oldest first; an open period's last one has no end."""
        day = self.since
        while day < self.until:
            yield Days(day, day)
            day += timedelta(days=1)
        yield Days(self.until, None if self.is_open else self.until)


class Study(NamedTuple):
    """A study as a server names it; an empty text or no modality means that the server does not state it."""

    study_uid: str
    accession_number: str
    study_date: str
    modalities: tuple[str, ...]


class Series(NamedTuple):
    """A series as a server names it."""

    series_uid: str
    modality: str


class Instance(NamedTuple):
    """An object as a server names it."""

    instance_uid: str
    sop_class_uid: str


class Source(Protocol):
    """A server that has dose reports. Each question raises SourceFailed or ObjectFailed."""

    @property
    def lookback_days(self) -> int:
        """How many days before the run's date the search begins."""

    @property
    def address(self) -> str:
        """Which server this is, without secrets."""

    def studies(self, days: Days) -> list[Study]:
        """All studies of these days, whatever their modalities."""

    def series(self, study_uid: str) -> list[Series]:
        """All series of a study."""

    def instances(self, study_uid: str, series_uid: str) -> list[Instance]:
        """All objects of a series."""

    def fetch(self, identity: Identity) -> list[bytes]:
        """The object as a DICOM file, and others that came with it."""

    def close(self) -> None:
        """End the conversation."""


def is_uid(text: str) -> bool:
    """Whether a text can be sent back as a UID: some devices make illegal ones, which their PACS knows all the same."""
    return _UID.fullmatch(text) is not None
