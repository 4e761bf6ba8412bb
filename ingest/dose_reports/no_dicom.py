"""What bytes are that do not begin as DICOM: positively something else, or not recognised.

Only what is recognised is ``not_dose``. Anything else may be a dose report that was damaged, packed or converted on its
way, and is quarantined.
"""

from __future__ import annotations

import re

from ingest.records import Refused

TEXT_BYTES = 65_536  # from the begin: enough to distinguish text from other bytes
_NO_TEXT = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]")  # control characters that no text file holds
_WIDE_TEXT = (b"\xff\xfe", b"\xfe\xff")  # byte order marks of UTF-16
# How files of other kinds begin (their documented signatures).
_OTHER_KINDS = {
    b"%PDF-": "a PDF document",
    b"\x89PNG\r\n": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"GIF8": "a GIF picture",
    b"BM": "a BMP picture",
    b"II*\x00": "a TIFF picture",
    b"MM\x00*": "a TIFF picture",
    b"\xd0\xcf\x11\xe0": "an Office document",
    b"MZ": "a program",
    b"\x7fELF": "a program",
}
# These may have dose reports in them.
_PACKED = {
    b"PK\x03\x04": "ZIP",
    b"\x1f\x8b": "gzip",
    b"7z\xbc\xaf": "7-Zip",
    b"Rar!": "RAR",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"\x28\xb5\x2f\xfd": "Zstandard",
}
_OFFICE_PARTS = (b"word/", b"xl/", b"ppt/", b"mimetypeapplication/vnd.oasis")  # a ZIP that is an Office document
# Names of a dose report in its own words: the classes, and the title's code. A converter to JSON or XML keeps them.
_DOSE_WORDS = re.compile(rb"1\.2\.840\.10008\.5\.1\.4\.1\.1\.88\.(?:67|76)(?![0-9.])|\b113701\b")


def refusal_of_no_dicom(data: bytes) -> Refused:
    """Why these bytes are not loaded.

    Args:
        data: of a file that begins neither as a DICOM file nor as a bare data set.
    """
    if not data:
        return Refused("quarantined", "is empty: perhaps it was not copied whole")
    packed = next((name for mark, name in _PACKED.items() if data.startswith(mark)), None)
    if packed and not any(part in data for part in _OFFICE_PARTS):
        return Refused("quarantined", f"is a {packed} archive: unpack it, and put its files here")
    if _DOSE_WORDS.search(data):
        return Refused("quarantined", "is not a DICOM file, but names the class or title of an X-ray dose report")
    kind = (
        "an Office document" if packed else next((k for mark, k in _OTHER_KINDS.items() if data.startswith(mark)), None)
    )
    if kind is None and _is_text(data[:TEXT_BYTES]):
        kind = "text"
    if kind is None:
        return Refused("quarantined", "is not recognised: it begins neither as a DICOM file nor as a bare data set")
    return Refused("not_dose", f"is not a DICOM file but {kind}")


def _is_text(data: bytes) -> bool:
    return data.startswith(_WIDE_TEXT) or not _NO_TEXT.search(data)
