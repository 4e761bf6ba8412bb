"""Bytes of a file into a whole, checked DICOM data set of a dose report's class, or a refusal.

Here are file header, transfer syntax and SOP class; the content of the data set is read by other modules. What cannot
be read is ``not_dose`` only if it positively is something else (``no_dicom.py``, another class): a dose report may have
lost its preamble or its header on the way.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from typing import Literal, NamedTuple

from pydicom.config import IGNORE
from pydicom.uid import UID

from ingest.dose_reports.codes import DOSE_REPORT_TITLE
from ingest.dose_reports.no_dicom import refusal_of_no_dicom
from ingest.dose_reports.structure import LONG_VRS, SHORT_VRS, BrokenStructureError, DataSet, Syntax, read_data_set
from ingest.dose_reports.text import Decoder
from ingest.dose_reports.tree import CONCEPT_NAME, code_of, raw
from ingest.records import Refused

MARK = b"DICM"
PREAMBLE_BYTES = 128 + len(MARK)  # the first 128 are free
HEADER_GROUP, FIRST_GROUP = b"\x02\x00", b"\x08\x00"  # how a file header, or a bare data set, begins: little endian
CLASS_WITHIN = 4096  # bytes of a data set within which its SOP class lies: only group 0008 begins before it
MAX_BYTES = 32 * 1024 * 1024  # of a dose report, also when it is inflated; real ones are below 2 MB

SYNTAXES = {
    "1.2.840.10008.1.2": Syntax(is_implicit=True, is_little_endian=True),
    "1.2.840.10008.1.2.1": Syntax(is_implicit=False, is_little_endian=True),
    "1.2.840.10008.1.2.1.99": Syntax(is_implicit=False, is_little_endian=True),
    "1.2.840.10008.1.2.2": Syntax(is_implicit=False, is_little_endian=False),
}
DEFLATED = "1.2.840.10008.1.2.1.99"

XRAY_DOSE_SR = "1.2.840.10008.5.1.4.1.1.88.67"
ENHANCED_XRAY_DOSE_SR = "1.2.840.10008.5.1.4.1.1.88.76"
DOSE_SRS = frozenset({XRAY_DOSE_SR, ENHANCED_XRAY_DOSE_SR})
GENERAL_SRS = frozenset(f"1.2.840.10008.5.1.4.1.1.88.{n}" for n in (22, 33, 34, 35))  # a dose report by title

MEDIA_CLASS, MEDIA_SYNTAX, SENDER_AE = 0x00020002, 0x00020010, 0x00020016
SOP_CLASS, CHARACTER_SET = 0x00080016, 0x00080005
STUDY_UID, SERIES_UID, INSTANCE_UID = 0x0020000D, 0x0020000E, 0x00080018
_MAX = f"{MAX_BYTES // 2**20} MB"
_LEGAL_UID = re.compile(r"[0-9.]{1,64}")
# The class of a data set that is a dose report, with explicit or implicit value representations, in either byte order.
_DOSE_CLASS_ELEMENT = re.compile(
    rb"(?:\x08\x00\x16\x00|\x00\x08\x00\x16)(?:UI..|....)1\.2\.840\.10008\.5\.1\.4\.1\.1\.88\.(?:67|76)(?![0-9.])",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class DicomFile:
    """A whole data set of a class that may be a dose report.

    Attributes:
        data: the data set, values as in the file.
        sop_class_uid: of the data set.
        sender_ae: (0002,0016), or None.
        decoder: for the text of this data set.
    """

    data: DataSet
    sop_class_uid: str
    sender_ae: str | None
    decoder: Decoder

    @property
    def is_dose_class(self) -> bool:
        """Whether its class alone makes it an X-ray dose report."""
        return self.sop_class_uid in DOSE_SRS


def open_dicom(data: bytes) -> DicomFile:
    """Read and check a DICOM file.

    Args:
        data: the whole file; of one that is larger than ``MAX_BYTES`` at least a byte more.

    Raises:
        Refused: ``not_dose`` (positively something else: text, a document, a picture, another class) or
            ``quarantined`` (damaged, not recognised, or a dose report of a transfer syntax that is not read).
    """
    try:
        header, body = _split(data)
        header_class = _uid(header, MEDIA_CLASS)
        if header_class is not None and _is_believed(header_class, _first_bytes(header, body)):
            _refuse_other_class(header_class)  # before all else: an image need be neither whole nor readable
        if len(data) > MAX_BYTES:
            raise Refused("quarantined", f"is larger than {_MAX}, which no dose report is")
        body, syntax = _decoded(header, body)
        dataset = read_data_set(body, syntax)
    except BrokenStructureError as broken:
        raise Refused("quarantined", f"the DICOM structure is damaged: {broken}") from broken
    sop_class = _uid(dataset, SOP_CLASS)
    if sop_class is None:
        raise Refused("quarantined", "the object does not state its SOP class (0008,0016)")
    if header_class in DOSE_SRS or (header_class is None and code_of(dataset, CONCEPT_NAME) in DOSE_REPORT_TITLE):
        _refuse_contradiction(sop_class)
    _refuse_other_class(sop_class)
    decoder = Decoder(raw(dataset, CHARACTER_SET))
    return DicomFile(dataset, sop_class, decoder.text(raw(header, SENDER_AE)) or None, decoder)


class Identity(NamedTuple):
    """Identity of a DICOM object. One SOP Instance UID may occur in two studies, as copies have it."""

    study_uid: str
    series_uid: str
    instance_uid: str


def identity_of(data: bytes) -> Identity | None:
    """Which object a file holds; None if that cannot be read from it.

    Args:
        data: the whole file.
    """
    try:
        header, body = _split(data)
        body, syntax = _decoded(header, body)
        dataset = read_data_set(body, syntax)
    except (BrokenStructureError, Refused):
        return None
    uids = [_uid(dataset, tag) for tag in (STUDY_UID, SERIES_UID, INSTANCE_UID)]
    return Identity(*(uid for uid in uids if uid)) if all(uids) else None


def is_dicom(data: bytes) -> bool:
    """Whether the bytes begin as a DICOM file or a bare data set, readable or not."""
    return _begin(data) is not None


def _split(data: bytes) -> tuple[DataSet, bytes]:
    """The file header (group 0002, always explicit little endian; empty for a bare data set) and the bytes behind it.

    Raises:
        Refused: the bytes begin neither as a DICOM file nor as a bare data set.
        BrokenStructureError: the header is damaged.
    """
    begin = _begin(data)
    if begin is None:
        raise refusal_of_no_dicom(data)
    at = begin
    while data[at : at + 2] == HEADER_GROUP:
        is_long = data[at + 4 : at + 6] in LONG_VRS
        length = data[at + 8 : at + 12] if is_long else data[at + 6 : at + 8]
        at += (12 if is_long else 8) + int.from_bytes(length, "little")
    header = read_data_set(data[begin:at], Syntax(is_implicit=False, is_little_endian=True))
    return header, data[at:]


def _begin(data: bytes) -> int | None:
    """Where the first element lies: behind preamble and mark, behind a mark alone, or at once; None if nowhere."""
    for begin in (PREAMBLE_BYTES, len(MARK)):
        if data[begin - len(MARK) : begin] == MARK:
            return begin
    return 0 if data[:2] in (HEADER_GROUP, FIRST_GROUP) else None


def _decoded(header: DataSet, body: bytes) -> tuple[bytes, Syntax]:
    """The data set's bytes, inflated where they are deflated, and how they are encoded.

    A bare data set has no header with its encoding: then its first element shows it.
    """
    if not header and body[:2] == FIRST_GROUP:
        is_explicit = body[4:6] in SHORT_VRS | LONG_VRS
        return body, Syntax(is_implicit=not is_explicit, is_little_endian=True)
    transfer_syntax = _uid(header, MEDIA_SYNTAX)
    if transfer_syntax not in SYNTAXES:
        named = class_name(transfer_syntax) if transfer_syntax else "none"
        raise Refused("quarantined", f"its transfer syntax is not one of a structured report: {named}")
    if transfer_syntax == DEFLATED:
        body = _inflated(body)
    return body, SYNTAXES[transfer_syntax]


def _first_bytes(header: DataSet, body: bytes) -> bytes:
    """The begin of the data set, as far as its class lies, inflated where it is deflated."""
    if _uid(header, MEDIA_SYNTAX) != DEFLATED:
        return body[:CLASS_WITHIN]
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(body, CLASS_WITHIN)
    except zlib.error:
        return b""


def _inflated(body: bytes) -> bytes:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        inflated = inflater.decompress(body, MAX_BYTES)
    except zlib.error as error:
        raise BrokenStructureError("its deflated data set cannot be inflated") from error
    if inflater.unconsumed_tail:
        raise BrokenStructureError(f"its deflated data set grows beyond {_MAX}")
    if not inflater.eof:
        raise BrokenStructureError("its deflated data set is cut off")
    return inflated


def _is_other_class(sop_class: str | None) -> bool:
    return sop_class is not None and sop_class not in DOSE_SRS and sop_class not in GENERAL_SRS


def _is_believed(header_class: str, first_bytes: bytes) -> bool:
    """Whether the header's class is the object's: one that the standard does not have must be the data set's, too."""
    if _DOSE_CLASS_ELEMENT.search(first_bytes):
        return header_class in DOSE_SRS
    return class_name(header_class) != header_class or header_class.encode() in first_bytes


def _refuse_other_class(sop_class: str | None) -> None:
    if sop_class is not None and _is_other_class(sop_class):
        status: Literal["not_dose", "quarantined"] = "not_dose" if _LEGAL_UID.fullmatch(sop_class) else "quarantined"
        raise Refused(status, f"no X-ray dose report but: {class_name(sop_class)}")


def _refuse_contradiction(sop_class: str) -> None:
    """Refuse what is an X-ray dose report by its header or title and something else by its class."""
    if _is_other_class(sop_class):
        raise Refused("quarantined", f"an X-ray dose report with the SOP class {class_name(sop_class)}")


def class_name(uid: str) -> str:
    """The standard's name of a UID, else the UID itself; an illegal one is not repeated."""
    if not _LEGAL_UID.fullmatch(uid):
        return "an illegal UID"
    return str(UID(uid, IGNORE).name)


def _uid(data: DataSet, tag: int) -> str | None:
    return raw(data, tag).decode("ascii", "replace").strip("\x00 ") or None
