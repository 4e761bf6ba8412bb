"""A PACS that is asked by C-FIND (study root) and gives by C-GET, one object at a time, over one association.

Only talking DIMSE as the asking side lives here.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

from pydicom.dataset import Dataset
from pynetdicom import build_role, evt
from pynetdicom.events import Event
from pynetdicom.pdu import A_ASSOCIATE_RJ

from ingest.dose_reports.dicom_file import Identity
from ingest.site import Dimse
from ingest.sources.association import (
    GUARDS,
    PENDING,
    REPORT_CLASSES,
    REPORT_SYNTAXES,
    STUDY_ROOT_FIND,
    STUDY_ROOT_GET,
    SUCCESS,
    application_entity,
    as_file,
)
from ingest.sources.pull import ObjectFailed, Period, Reference, SourceFailed

if TYPE_CHECKING:
    from pynetdicom.association import Association


class DimseSource:
    """One PACS; the association is opened when it is first asked."""

    def __init__(self, settings: Dimse) -> None:
        self.settings = settings
        self._association: Association | None = None
        self._is_refused = False
        self._arrived: list[bytes] = []

    @property
    def lookback_days(self) -> int:
        """How many days before the run's date the search begins."""
        return self.settings.lookback_days

    @property
    def address(self) -> str:
        """Title, host and port of the PACS."""
        return f"dimse {self.settings.called_ae} at {self.settings.host}:{self.settings.port}"

    def close(self) -> None:
        """Release the association."""
        if self._association is not None and self._association.is_established:
            self._association.release()

    def find(self, period: Period) -> Iterator[Reference]:
        """Instances of every series of modality SR in the period, week by week: a PACS may cut long answers off."""
        for dates in _weeks(period):
            for study in self._query("STUDY", StudyDate=dates, ModalitiesInStudy="", StudyInstanceUID=""):
                if "SR" in (_texts(study, "ModalitiesInStudy") or ["SR"]):
                    yield from self._reports_of(_uid(study, "StudyInstanceUID"))

    def _reports_of(self, study_uid: str) -> Iterator[Reference]:
        for series in self._query("SERIES", StudyInstanceUID=study_uid, Modality="SR", SeriesInstanceUID=""):
            if _texts(series, "Modality") in ([], ["SR"]):
                series_uid = _uid(series, "SeriesInstanceUID")
                keys = {"StudyInstanceUID": study_uid, "SeriesInstanceUID": series_uid}
                for image in self._query("IMAGE", **keys, SOPInstanceUID="", SOPClassUID=""):
                    sop_class = next(iter(_texts(image, "SOPClassUID")), None)
                    yield Reference(Identity(study_uid, series_uid, _uid(image, "SOPInstanceUID")), sop_class)

    def fetch(self, identity: Identity) -> list[bytes]:
        """What the PACS sends for the object, in a transfer syntax that both sides know."""
        self._arrived.clear()
        association = self._opened()
        identifier = _identifier(
            "IMAGE",
            StudyInstanceUID=identity.study_uid,
            SeriesInstanceUID=identity.series_uid,
            SOPInstanceUID=identity.instance_uid,
        )
        status = Dataset()
        for status, _ in association.send_c_get(identifier, STUDY_ROOT_GET):  # noqa: B007
            pass
        self._check_answered(status)
        if not self._arrived:
            raise ObjectFailed(
                f"{self.address} does not send the object {identity.instance_uid} (status 0x{status.Status:04X})."
            )
        return list(self._arrived)

    def _query(self, level: str, **keys: str) -> list[Dataset]:
        """All answers to one C-FIND: taken before the next is asked, for one association answers one at a time."""
        answers: list[Dataset] = []
        status = Dataset()
        identifier = _identifier(level, **keys)
        for status, answer in self._opened().send_c_find(identifier, STUDY_ROOT_FIND):
            if answer is not None and status.get("Status") in PENDING:
                answers.append(answer)
        self._check_answered(status)
        if status.Status != SUCCESS:
            raise SourceFailed(f"{self.address} does not answer a C-FIND (status 0x{status.Status:04X}).")
        return answers

    def _check_answered(self, status: Dataset) -> None:
        if "Status" not in status:
            raise SourceFailed(f"{self.address}: the connection broke, or no answer came in time; the rest is missing.")

    def _opened(self) -> Association:
        if self._association is None:
            entity = application_entity(self.settings.calling_ae)
            entity.add_requested_context(STUDY_ROOT_FIND)
            entity.add_requested_context(STUDY_ROOT_GET)
            for sop_class in REPORT_CLASSES:
                entity.add_requested_context(sop_class, REPORT_SYNTAXES)
            self._association = entity.associate(
                self.settings.host,
                self.settings.port,
                ae_title=self.settings.called_ae,
                ext_neg=[build_role(sop_class, scp_role=True) for sop_class in REPORT_CLASSES],
                evt_handlers=[*GUARDS, (evt.EVT_C_STORE, self._take), (evt.EVT_PDU_RECV, self._hear)],
            )
            self._check_accepted(self._association)
        if not self._association.is_established:
            raise SourceFailed(f"{self.address}: the connection broke; the rest is missing.")
        return self._association

    def _check_accepted(self, association: Association) -> None:
        if self._is_refused:
            raise SourceFailed(
                f"{self.address} refuses us: it must have that title, and know calling_ae '{self.settings.calling_ae}'."
            )
        if not association.is_established:
            raise SourceFailed(f"{self.address} does not answer; look whether it is running.")
        accepted = {str(context.abstract_syntax) for context in association.accepted_contexts}
        needed = {STUDY_ROOT_FIND, STUDY_ROOT_GET}
        if not needed <= accepted:
            raise SourceFailed(f"{self.address} does not allow C-FIND and C-GET (study root) to us.")

    def _hear(self, event: Event) -> None:
        """Of a peer that refuses and closes at once pynetdicom may only see that it closed."""
        self._is_refused |= isinstance(event.pdu, A_ASSOCIATE_RJ)

    def _take(self, event: Event) -> int:
        self._arrived.append(as_file(event))
        return SUCCESS


def _weeks(period: Period) -> Iterator[str]:
    """Ranges of study dates; with the last one everything after it if the period is open."""
    day = period.since
    while day <= period.until:
        last = min(day + timedelta(days=6), period.until)
        yield f"{day:%Y%m%d}-" + ("" if period.is_open and last == period.until else f"{last:%Y%m%d}")
        day = last + timedelta(days=1)


def _identifier(level: str, **keys: str) -> Dataset:
    identifier = Dataset()
    identifier.QueryRetrieveLevel = level
    for name, value in keys.items():
        setattr(identifier, name, value)
    return identifier


def _uid(answer: Dataset, name: str) -> str:
    return str(answer.get(name, ""))


def _texts(answer: Dataset, name: str) -> list[str]:
    """The values of an attribute; none if the peer does not tell it."""
    value = answer.get(name)
    return [str(part) for part in ([value] if isinstance(value, str) else value or [])]
