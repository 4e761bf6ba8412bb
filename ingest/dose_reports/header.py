"""Attributes around the content tree: patient, study, device, versions and request.

Dose is in the content tree (projection.py, ct.py). De-identification is done once, in the reader.
"""

from __future__ import annotations

import re
import warnings
from datetime import date, datetime
from io import BytesIO
from typing import NamedTuple

from pydicom.filereader import read_partial

from ingest.dose_reports import codes
from ingest.dose_reports.dicom_file import DEFLATED, FIRST_GROUP, HEADER_GROUP
from ingest.dose_reports.structure import DataSet
from ingest.dose_reports.times import join, parse_date, parse_offset, parse_time
from ingest.dose_reports.tree import CODE_VALUE, LONG_CODE_VALUE, Children, raw, sequence
from ingest.dose_reports.values import Reading
from ingest.records import Patient

SOP_INSTANCE_UID, STUDY_UID, SERIES_UID = 0x00080018, 0x0020000D, 0x0020000E
STUDY_DATE, CONTENT_DATE, CONTENT_TIME, INSTANCE_NUMBER = 0x00080020, 0x00080023, 0x00080033, 0x00200013
UTC_OFFSET = 0x00080201
ACCESSION, STUDY_DESCRIPTION, REQUESTED_PROCEDURE, PROTOCOL_NAME = 0x00080050, 0x00081030, 0x00321060, 0x00181030
PROCEDURE_CODES, REQUESTED_PROCEDURE_CODES = 0x00081032, 0x00321064
REQUESTS = (0x00400275, 0x0040A370)  # Request Attributes, Referenced Request
MANUFACTURER, MODEL, SERIAL, STATION, STATION_AE = 0x00080070, 0x00081090, 0x00181000, 0x00081010, 0x00080055
PATIENT_GROUP = 0x0010
META_BYTES = 1024  # the file meta information, which names the transfer syntax, lies within them
PATIENT_NAMES = (0x00100010, 0x00101001, 0x00101005)  # name, other names, birth name
PATIENT_ID, ISSUER, BIRTH_DATE, AGE, SEX = 0x00100020, 0x00100021, 0x00100030, 0x00101010, 0x00100040
TEMPLATE, TEMPLATE_ID = 0x0040A504, 0x0040DB00

LARGEST_INSTANCE_NUMBER = 2**31 - 1  # IS of PS3.5
OLDEST = 130  # years; anonymised files state more
AGE_UNITS_PER_YEAR = {"Y": 1, "M": 12, "W": 52, "D": 365}
SEXES = frozenset({"M", "F", "O"})
_AGE = re.compile(r"(\d{1,3})([YMWD])")


class Header(NamedTuple):
    """The attributes of one report and how to read them."""

    data: DataSet
    reading: Reading

    def text(self, tag: int) -> str | None:
        """The decoded value; None if it is missing or empty."""
        return self.reading.decoder.text(raw(self.data, tag)) or None

    def day(self, tag: int) -> date | None:
        """A date; an unreadable one is None with a finding."""
        text = self.text(tag)
        day = None if text is None else parse_date(text)
        if text is not None and day is None:
            self._unreadable("unreadable_time", tag, "date")
        return day

    def uid(self, tag: int) -> str | None:
        """A UID; an illegal one is None with a finding."""
        text = self.text(tag)
        return None if text is None else self.reading.legal_uid(text, _name(tag))

    def content_local(self) -> datetime | None:
        """ContentDate and ContentTime as written; midnight if only the date is there."""
        day, text = self.day(CONTENT_DATE), self.text(CONTENT_TIME)
        time = parse_time(text or "0000")
        if time is None:
            self._unreadable("unreadable_time", CONTENT_TIME, "time")
        return join(day, time)

    def utc_offset_min(self) -> int | None:
        """(0008,0201) in minutes east of UTC, read tolerantly; an unreadable one is None with a finding."""
        text = self.text(UTC_OFFSET)
        offset = None if text is None else parse_offset(text)
        if text is not None and offset is None:
            self._unreadable("unreadable_offset", UTC_OFFSET, "UTC offset")
        return offset

    def instance_number(self) -> int | None:
        """InstanceNumber, or None if it is missing or no number of PS3.5."""
        text = self.text(INSTANCE_NUMBER) or ""
        if not re.fullmatch(r"[+-]?\d{1,12}", text) or abs(int(text)) > LARGEST_INSTANCE_NUMBER:
            return None
        return int(text)

    def patient(self, root: Children) -> Patient:
        """Who was treated; all component groups of all names, also of the subject named in the content tree."""
        decoder = self.reading.decoder
        names = [name for tag in PATIENT_NAMES for name in decoder.texts(raw(self.data, tag))]
        names += [decoder.text(item.plain) for item in root.find(codes.PATIENT_NAME)]
        return Patient(self.text(PATIENT_ID), self.text(ISSUER), tuple(filter(None, names)), self.day(BIRTH_DATE))

    def age_years(self, birth_date: date | None, study_date: date | None) -> int | None:
        """Completed years: PatientAge, else from birth date to study date; None where neither gives a human age."""
        text = self.text(AGE)
        stated = _AGE.fullmatch(text or "")
        if stated:
            years = int(stated[1]) // AGE_UNITS_PER_YEAR[stated[2]]
        elif birth_date and study_date:
            years = study_date.year - birth_date.year
            years -= (study_date.month, study_date.day) < (birth_date.month, birth_date.day)
        else:
            return None
        if 0 <= years <= OLDEST:
            return years
        self._unreadable("out_of_range", AGE, "human age")
        return None

    def sex(self) -> str | None:
        """``M``, ``F`` or ``O``; anything else is None with a finding."""
        text = (self.text(SEX) or "").upper()
        if text in SEXES:
            return text
        if text:
            self._unreadable("unknown_code", SEX, "sex of PS3.3")
        return None

    def procedure_codes(self) -> tuple[str, ...]:
        """Code values of the procedure and of what was requested, in order, without repeats."""
        places = [(self.data, PROCEDURE_CODES), (self.data, REQUESTED_PROCEDURE_CODES)]
        places += [(request, REQUESTED_PROCEDURE_CODES) for request in self._requests()]
        found = [_code_value(item, self.reading) for data, tag in places for item in sequence(data, tag)]
        return tuple(dict.fromkeys(filter(None, found)))

    def requested_procedure(self) -> str | None:
        """Requested Procedure Description of the object, else of its only described request."""
        return self.text(REQUESTED_PROCEDURE) or self._of_requests(REQUESTED_PROCEDURE)

    def accession_number(self) -> str | None:
        """AccessionNumber of the object, else the only one of its requests."""
        return self.text(ACCESSION) or self._of_requests(ACCESSION)

    def template_id(self) -> str | None:
        """The root template, e.g. ``10001``."""
        for item in sequence(self.data, TEMPLATE):
            return Header(item, self.reading).text(TEMPLATE_ID)
        return None

    def _requests(self) -> list[DataSet]:
        return [item for tag in REQUESTS for item in sequence(self.data, tag)]

    def _of_requests(self, tag: int) -> str | None:
        values = {text for item in self._requests() if (text := Header(item, self.reading).text(tag))}
        return values.pop() if len(values) == 1 else None

    def _unreadable(self, code: str, tag: int, kind: str) -> None:
        self.reading.findings.add(code, f"{_name(tag)} is no {kind}", _name(tag))


def _code_value(item: DataSet, reading: Reading) -> str | None:
    header = Header(item, reading)
    return header.text(CODE_VALUE) or header.text(LONG_CODE_VALUE)


def _name(tag: int) -> str:
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def patient_named_in(data: bytes) -> Patient | None:
    """The patient of an object that is refused, as far as its first groups can be read: only to free its path of them.

    Args:
        data: a whole file, of any kind and in any state.
    """
    if DEFLATED.encode() in data[:META_BYTES]:
        return None  # it could grow without bound, and reading it is all that was refused
    try:
        with warnings.catch_warnings(action="ignore"):  # they quote the value
            is_bare = data[:2] in (HEADER_GROUP, FIRST_GROUP)
            dataset = read_partial(
                BytesIO(data), stop_when=lambda tag, _vr, _length: tag.group > PATIENT_GROUP, force=is_bare
            )
            names = [str(dataset[tag].value) for tag in PATIENT_NAMES if tag in dataset]
            patient_id = str(dataset[PATIENT_ID].value) if PATIENT_ID in dataset else None
    except Exception:  # noqa: BLE001 - it may be damaged in any way, or be no DICOM at all: then no patient is named
        return None
    return Patient(patient_id, None, tuple(filter(None, names)), None)
