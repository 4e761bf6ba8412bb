"""Bytes of a data set into text: the stated character set, else a recorded fallback; never an exception.

Only decoding and trimming are here; other modules select texts and de-identify them.
"""

from __future__ import annotations

import re

from pydicom.charset import decode_bytes, python_encoding
from pydicom.valuerep import TEXT_VR_DELIMS

_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")
_ESCAPE = b"\x1b"
_DEFAULT_REPERTOIRES = frozenset({"", "ISO_IR 6", "ISO 2022 IR 6"})  # PS3.5: ASCII


class Decoder:
    """Decodes the text of one data set and remembers by which rule.

    Attributes:
        rule: ``stated`` (as (0008,0005) says, or plain ASCII where it says nothing), ``fallback_utf8`` or
            ``fallback_latin1``: some text is not legal in the stated character set and was read as that one.
    """

    def __init__(self, specific_character_set: bytes) -> None:
        """Take the raw value of Specific Character Set (0008,0005), empty if it is missing."""
        terms = [_spelling(t) for t in specific_character_set.decode("ascii", "replace").split("\\")]
        self._encodings = [python_encoding.get(t) for t in terms]
        if terms[0] in _DEFAULT_REPERTOIRES:
            self._encodings[0] = "ascii"
        self.rule = "stated"

    def text(self, raw: bytes) -> str:
        """Decode and trim one value; control characters become one blank."""
        return _CONTROL.sub(" ", self._decode(raw.rstrip(b"\x00 "))).strip()

    def texts(self, raw: bytes) -> list[str]:
        """Decode a value that may be several, parted by backslashes; empty ones are left out."""
        return [part for part in map(str.strip, self.text(raw).split("\\")) if part]

    def _decode(self, raw: bytes) -> str:
        if raw.isascii() and _ESCAPE not in raw:
            return raw.decode("ascii")
        known = [e for e in self._encodings if e is not None]
        if known and len(known) == len(self._encodings):
            text = _legal(raw, known)
            if text is not None:
                return text
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError:
            self.rule = "fallback_latin1"
            return raw.decode("latin-1")
        if self.rule == "stated":
            self.rule = "fallback_utf8"
        return text


def _legal(raw: bytes, encodings: list[str]) -> str | None:
    """The text in these encodings (the first, and the others after escape sequences), or None if it is not legal."""
    if _ESCAPE in raw and len(encodings) > 1:
        text = decode_bytes(raw, encodings, TEXT_VR_DELIMS)
        return None if "\ufffd" in text else text
    try:
        return raw.decode(encodings[0])
    except UnicodeDecodeError:
        return None


def _spelling(term: str) -> str:
    """A defined term of PS3.3 C.12.1.1.2 in its legal spelling; ``ISO-IR 100`` and ``ISO IR 100`` are seen."""
    term = term.strip(" \x00").upper()
    return re.sub(r"^ISO[ _-]?IR[ _-]?(\d+)$", r"ISO_IR \1", term)
