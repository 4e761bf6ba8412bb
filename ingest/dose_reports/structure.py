"""The bytes of a DICOM data set into its elements: one pass that checks each length and keeps each value as it stands.

Only tags, value representations and lengths are looked at here; what values mean belongs to other modules. pydicom
tolerates truncation and overlong lengths, so its own reading of a file would have to come after this check, as a second
pass over every element; its dictionary of tags is used, and its decoding of text (text.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from struct import Struct
from typing import NamedTuple, NoReturn, TypeAlias

from pydicom._dicom_dict import DicomDictionary

MAX_DEPTH = 32  # sequences within sequences; the deepest report seen has 6. Reading is recursive
UNDEFINED = 0xFFFFFFFF
DELIMITERS = 0xFFFE  # their group
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD

# PS3.5 table 7.1-1 and 7.1-2: which value representations have a four-byte length.
LONG_VRS = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})
SHORT_VRS = frozenset(
    {b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FL", b"FD", b"IS", b"LO", b"LT", b"PN", b"SH"}
    | {b"SL", b"SS", b"ST", b"TM", b"UI", b"UL", b"US"}
)
SEQUENCE_VRS = frozenset({b"", b"SQ", b"UN"})  # empty: implicit
SEQUENCE_TAGS = frozenset(tag for tag, entry in DicomDictionary.items() if entry[0] == "SQ")
LONGEST_CACHED = 1024  # bytes of an item

DataSet: TypeAlias = "dict[int, bytes | tuple[DataSet, ...]]"
"""The elements of a data set or sequence item by tag: the bytes of a value, or the items of a sequence; read-only."""


class BrokenStructureError(Exception):
    """The data set is cut off or its lengths contradict each other; the text says where (byte of the data set)."""


class Syntax(NamedTuple):
    """How a data set is encoded: implicit value representations, and byte order."""

    is_implicit: bool
    is_little_endian: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Form:
    """A syntax with what reading it needs: the structures of heads and lengths, and how items begin and end."""

    is_implicit: bool
    head: Struct  # group, element, value representation, two-byte length
    length: Struct  # four bytes
    item: bytes
    item_end: bytes


def _form(syntax: Syntax) -> _Form:
    order = "<" if syntax.is_little_endian else ">"
    item, item_end = (Struct(order + "HH").pack(tag >> 16, tag & 0xFFFF) for tag in (ITEM, ITEM_END))
    return _Form(syntax.is_implicit, Struct(order + "HH2sH"), Struct(order + "I"), item, item_end + bytes(4))


_FORMS = {syntax: _form(syntax) for syntax in (Syntax(i, e) for i in (False, True) for e in (False, True))}
_INSIDE_UN = _FORMS[Syntax(is_implicit=True, is_little_endian=True)]  # PS3.5 section 6.2.2, note 2


def read_data_set(data: bytes, syntax: Syntax) -> DataSet:
    """Read all elements of a data set, or refuse it as a whole.

    Raises:
        BrokenStructureError: with what is wrong and where.
    """
    if syntax.is_implicit and data[4:6].isalpha() and data[4:6].isupper():
        raise BrokenStructureError("it is encoded with explicit value representations though its header says implicit")
    return _Pass(data, _FORMS[syntax]).elements(0, len(data), False, 0)[0]


class _Pass(NamedTuple):
    """One pass over bytes. Each step gives what it read and the byte behind it.

    A step ends at its limit, or, if ``is_delimited``, at its delimiter, which must come before the limit.
    """

    data: bytes
    form: _Form

    def elements(self, at: int, limit: int, is_delimited: bool, depth: int) -> tuple[DataSet, int]:
        """The elements of a data set or item."""
        data, form = self
        is_implicit, read_head, read_length = form.is_implicit, form.head.unpack_from, form.length.unpack_from
        found: DataSet = {}
        while at < limit or is_delimited:
            start = at + 8
            if start > limit:
                raise BrokenStructureError(f"an element is cut off at byte {at}")
            group, number, vr, length = read_head(data, at)
            tag = group << 16 | number
            if is_implicit or group == DELIMITERS:
                vr, (length,) = b"", read_length(data, at + 4)
            elif vr not in SHORT_VRS:
                start, length = self.long_value(at, vr, limit)
            if group == DELIMITERS or tag in found:
                if tag == ITEM_END and is_delimited and length == 0:
                    return found, start
                _refuse(tag, start, "stands twice or out of place")
            if tag in SEQUENCE_TAGS or vr == b"SQ" or length == UNDEFINED:
                _check_sequence(tag, vr, start)
                inside = self if vr != b"UN" else _Pass(data, _INSIDE_UN)
                found[tag], at = inside.items(start, _end(start, length, limit), length == UNDEFINED, depth + 1)
            else:
                at = _end(start, length, limit)
                found[tag] = data[start:at]
        return found, at

    def items(self, at: int, limit: int, is_delimited: bool, depth: int) -> tuple[tuple[DataSet, ...], int]:
        """The items of a sequence."""
        if depth > MAX_DEPTH:
            raise BrokenStructureError(f"sequences are nested more than {MAX_DEPTH} levels deep")
        data, read_head, read_length = self.data, self.form.head.unpack_from, self.form.length.unpack_from
        items: list[DataSet] = []
        while at < limit or is_delimited:
            start = at + 8
            if start > limit:
                raise BrokenStructureError(f"an item is cut off at byte {at}")
            group, number, _, _ = read_head(data, at)
            tag, (length,) = group << 16 | number, read_length(data, at + 4)
            if tag == SEQUENCE_END and is_delimited and length == 0:
                return tuple(items), start
            if tag != ITEM:
                raise BrokenStructureError(f"a sequence holds something that is no item at byte {at}")
            item, at = self.item(start, _end(start, length, limit), length == UNDEFINED, depth)
            items.append(item)
        return tuple(items), at

    def item(self, at: int, limit: int, is_delimited: bool, depth: int) -> tuple[DataSet, int]:
        """One item: a small one that was there before is not read again."""
        end = self.flat_end(at) if is_delimited else limit
        if at <= end <= min(limit, at + LONGEST_CACHED):
            item = _small_item(self.data[at:end], is_delimited, self.form, depth)
            if item is not None:
                return item, end
        return self.elements(at, limit, is_delimited, depth)

    def flat_end(self, at: int) -> int:
        """Where a delimited item ends if it is small and seems to hold no other items; else -1."""
        end = self.data.find(self.form.item_end, at, at + LONGEST_CACHED)
        return -1 if end < 0 or self.data.find(self.form.item, at, end) >= 0 else end + len(self.form.item_end)

    def long_value(self, at: int, vr: bytes, limit: int) -> tuple[int, int]:
        """Where the value of an element with a four-byte length starts, and that length."""
        if vr not in LONG_VRS:
            raise BrokenStructureError(f"an unknown value representation stands at byte {at}")
        if at + 12 > limit:
            raise BrokenStructureError(f"an element is cut off at byte {at}")
        return at + 12, self.form.length.unpack_from(self.data, at + 8)[0]


@lru_cache(maxsize=8192)
def _small_item(content: bytes, is_delimited: bool, form: _Form, depth: int) -> DataSet | None:
    """An item, read on its own; None if it is damaged or does not end where its bytes do.

    Nine of ten items in a report are the same bytes as another one: a code, a filter, a distance.
    """
    try:
        item, end = _Pass(content, form).elements(0, len(content), is_delimited, depth)
    except BrokenStructureError:  # it is read again within its data set, which knows the place of the damage
        return None
    return item if end == len(content) else None


def _check_sequence(tag: int, vr: bytes, start: int) -> None:
    """Refuse what is a sequence by only one of dictionary, value representation and length."""
    is_known = tag in SEQUENCE_TAGS
    if vr not in SEQUENCE_VRS:
        _refuse(tag, start, "has a wrong value representation" if is_known else "has an undefined length")
    if not is_known and tag in DicomDictionary:
        _refuse(tag, start, "has a wrong value representation" if vr else "has an undefined length")


def _end(start: int, length: int, limit: int) -> int:
    """The byte behind a value, or how far it may reach if its length is undefined."""
    end = limit if length == UNDEFINED else start + length
    if end > limit:
        raise BrokenStructureError(f"what starts at byte {start} is longer than what is there")
    return end


def _refuse(tag: int, start: int, why: str) -> NoReturn:
    raise BrokenStructureError(f"({tag >> 16:04X},{tag & 0xFFFF:04X}) at byte {start} {why}")
