"""A PACS that is queried by C-FIND (study root) and sends by C-GET, one object at a time, over one association.

This is the requesting side of DIMSE.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, NoReturn

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.uid import UID
from pynetdicom import build_role, evt
from pynetdicom.events import Event
from pynetdicom.pdu import A_ASSOCIATE_RJ

from ingest.dose_reports.dicom_file import Identity
from ingest.site.config import Dimse
from ingest.sources.association import (
    PENDING,
    REPORT_CLASSES,
    REPORT_SYNTAXES,
    STUDY_ROOT_FIND,
    STUDY_ROOT_GET,
    SUCCESS,
    application_entity,
    as_file,
    guard,
)
from ingest.sources.budget import MOST_ANSWERS, Budget
from ingest.sources.source import Days, Instance, ObjectFailed, Series, SourceFailed, Study
from ingest.sources.store import MAX_OBJECT_BYTES

if TYPE_CHECKING:
    from pynetdicom.association import Association

ANSWER_S = 120.0  # all answers to one question
OUT_OF_RESOURCES = 0xA700  # PS3.4 table B.2-1


class DimseSource:
    """One PACS; the association is opened at the first request."""

    def __init__(self, settings: Dimse) -> None:
        self.settings = settings
        self._budget = Budget()
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

    def studies(self, days: Days) -> list[Study]:
        """All studies of these days."""
        until = f"{days.until:%Y%m%d}" if days.until else ""
        since = f"{days.since:%Y%m%d}"
        wanted = {"StudyInstanceUID": "", "AccessionNumber": "", "ModalitiesInStudy": ""}
        answers = self._query("STUDY", StudyDate=since if since == until else f"{since}-{until}", **wanted)
        return [
            Study(
                _text(answer, "StudyInstanceUID"),
                _text(answer, "AccessionNumber"),
                _text(answer, "StudyDate"),
                tuple(_texts(answer, "ModalitiesInStudy")),
            )
            for answer in answers
        ]

    def series(self, study_uid: str) -> list[Series]:
        """All series of a study."""
        answers = self._query("SERIES", StudyInstanceUID=study_uid, Modality="", SeriesInstanceUID="")
        return [Series(_text(answer, "SeriesInstanceUID"), _text(answer, "Modality")) for answer in answers]

    def instances(self, study_uid: str, series_uid: str) -> list[Instance]:
        """All objects of a series."""
        keys = {"StudyInstanceUID": study_uid, "SeriesInstanceUID": series_uid}
        answers = self._query("IMAGE", **keys, SOPInstanceUID="", SOPClassUID="")
        return [Instance(_text(answer, "SOPInstanceUID"), _text(answer, "SOPClassUID")) for answer in answers]

    def fetch(self, identity: Identity) -> list[bytes]:
        """What the PACS sends for the object, in a transfer syntax that both sides know."""
        self._arrived.clear()
        identifier = _identifier(
            "IMAGE",
            StudyInstanceUID=identity.study_uid,
            SeriesInstanceUID=identity.series_uid,
            SOPInstanceUID=identity.instance_uid,
        )
        status = Dataset()
        for status, _ in self._responses(identifier, STUDY_ROOT_GET):  # noqa: B007
            pass
        self._check_answered(status)
        if not self._arrived:
            raise ObjectFailed(
                f"{self.address} does not send the object {identity.instance_uid} (status 0x{status.Status:04X})."
            )
        return list(self._arrived)

    def _query(self, level: str, **keys: str) -> list[Dataset]:
        """All answers to one C-FIND: taken before the next query, because one association answers one at a time."""
        answers: list[Dataset] = []
        status = Dataset()
        for status, answer in self._responses(_identifier(level, **keys), STUDY_ROOT_FIND):
            if status.get("Status") not in PENDING:
                continue
            if answer is None:
                self._give_up(f"{self.address} gives an answer to a C-FIND that cannot be read.")
            if len(answers) == MOST_ANSWERS:
                self._give_up(f"{self.address} gives more than {MOST_ANSWERS} answers to one question ({level}).")
            answers.append(answer)
        self._check_answered(status)
        if status.Status != SUCCESS:
            raise ObjectFailed(f"{self.address} does not answer a C-FIND of {level} (status 0x{status.Status:04X}).")
        return answers

    def _responses(self, identifier: Dataset, model: UID) -> Iterator[tuple[Dataset, Dataset | None]]:
        """The responses to one request, if they end within the time for all of them."""
        association = self._opened()
        send = association.send_c_get if model == STUDY_ROOT_GET else association.send_c_find
        ends_at = time.monotonic() + ANSWER_S
        try:
            for response in send(identifier, model):
                yield response
                if time.monotonic() > ends_at:
                    self._give_up(f"{self.address} does not finish an answer within {ANSWER_S:.0f} s.")
        except RuntimeError as error:  # the peer closed during the request
            raise SourceFailed(f"{self.address}: the connection broke; the rest is missing.") from error

    def _give_up(self, sentence: str) -> NoReturn:
        if self._association is not None:
            self._association.abort()
        raise SourceFailed(sentence)

    def _check_answered(self, status: Dataset) -> None:
        if (spent := self._budget.spent()) is not None:
            raise SourceFailed(f"{self.address} takes {spent}; the rest is requested in the next run.")
        if "Status" not in status:
            raise SourceFailed(f"{self.address}: the connection broke, or no answer came in time; the rest is missing.")

    def _opened(self) -> Association:
        if self._association is None:
            entity = application_entity(self.settings.calling_ae)
            entity.add_requested_context(STUDY_ROOT_FIND)
            entity.add_requested_context(STUDY_ROOT_GET)
            for sop_class in REPORT_CLASSES:
                entity.add_requested_context(sop_class, REPORT_SYNTAXES)
            try:
                self._association = entity.associate(
                    self.settings.host,
                    self.settings.port,
                    ae_title=self.settings.called_ae,
                    ext_neg=[build_role(sop_class, scp_role=True) for sop_class in REPORT_CLASSES],
                    evt_handlers=self._handlers(),
                )
            except OSError as error:
                raise SourceFailed(f"{self.address}: the host has no address ({error.strerror}).") from error
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

    def _on_pdu(self, event: Event) -> None:
        """Of a peer that refuses and closes at once pynetdicom may only see that it closed."""
        self._is_refused |= isinstance(event.pdu, A_ASSOCIATE_RJ)

    def _take(self, event: Event) -> int:
        content = as_file(event)
        if sum(map(len, self._arrived)) + len(content) > MAX_OBJECT_BYTES:
            return OUT_OF_RESOURCES
        self._arrived.append(content)
        return SUCCESS

    def _handlers(self) -> list[evt.EventHandlerType]:
        return [
            (evt.EVT_CONN_OPEN, guard, [self._budget.spend]),
            (evt.EVT_C_STORE, self._take),
            (evt.EVT_PDU_RECV, self._on_pdu),
        ]


def _identifier(level: str, **keys: str) -> Dataset:
    identifier = Dataset()
    identifier.QueryRetrieveLevel = level
    for name, value in keys.items():
        setattr(identifier, name, value)
    return identifier


def _texts(answer: Dataset, name: str) -> list[str]:
    """The values of an attribute; none if the peer does not state it."""
    try:
        value = answer.get(name)
    except Exception as error:  # pydicom decodes late, and an odd answer may raise anything
        raise SourceFailed(f"An answer to a C-FIND cannot be read: {name} ({type(error).__name__}).") from error
    values = value if isinstance(value, MultiValue) else [value]
    return [text for part in values if isinstance(part, str) and (text := part.strip(" \0"))]


def _text(answer: Dataset, name: str) -> str:
    return next(iter(_texts(answer, name)), "")
