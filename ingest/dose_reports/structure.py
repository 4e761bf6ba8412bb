"""Is a DICOM data set whole? Lengths nest, sequences are closed, nothing is cut off or left over.

Only tags, value representations and lengths are looked at here, before any value is read; values belong to other
modules. pydicom tolerates truncation and overlong lengths, so a value must not be taken before this check has passed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from struct import Struct
from typing import Literal, NamedTuple

from pydicom._dicom_dict import DicomDictionary

MAX_DEPTH = 64  # sequences and items; the deepest report seen has 13. pydicom itself reads recursively
UNDEFINED = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD

# PS3.5 table 7.1-1 and 7.1-2: which value representations have a four-byte length.
LONG_VRS = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})
SHORT_VRS = frozenset(
    {b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FL", b"FD", b"IS", b"LO", b"LT", b"PN", b"SH"}
    | {b"SL", b"SS", b"ST", b"TM", b"UI", b"UL", b"US"}
)
SEQUENCE_TAGS = frozenset(tag for tag, entry in DicomDictionary.items() if entry[0] == "SQ")


class BrokenStructureError(Exception):
    """The data set is cut off or its lengths contradict each other; the text says where (byte of the data set)."""


class Syntax(NamedTuple):
    """How a data set is encoded: implicit value representations, and byte order."""

    is_implicit: bool
    is_little_endian: bool


class Element(NamedTuple):
    """The head of one data element: tag, whether a sequence, where its value starts, and its length in bytes."""

    tag: int
    vr: bytes
    start: int
    length: int


@dataclass(slots=True)
class _Level:
    """An open sequence (of items) or data set (of elements): known end or None, and the last byte it may reach."""

    holds: Literal["items", "elements"]
    end: int | None
    limit: int
    is_implicit: bool
    seen: set[int] = field(default_factory=set)


_DELIMITER_GROUP = {True: b"\xfe\xff", False: b"\xff\xfe"}
_SHORT_HEAD = {True: Struct("<HHI"), False: Struct(">HHI")}
_VR_HEAD = {True: Struct("<HH2sH"), False: Struct(">HH2sH")}
_LENGTH = {True: Struct("<I"), False: Struct(">I")}


def read_element(data: bytes, at: int, limit: int, syntax: Syntax) -> Element:
    """Read the head of the data element that starts at a byte.

    Raises:
        BrokenStructureError: the head is cut off, or its value representation is none of PS3.5.
    """
    if at + 8 > limit:
        raise BrokenStructureError(f"an element is cut off at byte {at}")
    if syntax.is_implicit or data[at : at + 2] == _DELIMITER_GROUP[syntax.is_little_endian]:
        group, number, length = _SHORT_HEAD[syntax.is_little_endian].unpack_from(data, at)
        return Element(group << 16 | number, b"", at + 8, length)
    group, number, vr, length = _VR_HEAD[syntax.is_little_endian].unpack_from(data, at)
    if vr in SHORT_VRS:
        return Element(group << 16 | number, vr, at + 8, length)
    if vr not in LONG_VRS:
        raise BrokenStructureError(f"an unknown value representation stands at byte {at}")
    if at + 12 > limit:
        raise BrokenStructureError(f"an element is cut off at byte {at}")
    (length,) = _LENGTH[syntax.is_little_endian].unpack_from(data, at + 8)
    return Element(group << 16 | number, vr, at + 12, length)


def check_structure(data: bytes, syntax: Syntax) -> None:
    """Walk over all elements of a data set, without recursion.

    Raises:
        BrokenStructureError: with what is wrong and where.
    """
    if syntax.is_implicit and data[4:6].isalpha() and data[4:6].isupper():
        raise BrokenStructureError("it is encoded with explicit value representations though its header says implicit")
    levels = [_Level("elements", len(data), len(data), syntax.is_implicit)]
    at = 0
    while levels:
        level = levels[-1]
        if at == level.end:
            levels.pop()
            continue
        if len(levels) > MAX_DEPTH:
            raise BrokenStructureError(f"sequences are nested more than {MAX_DEPTH} levels deep")
        head = read_element(data, at, level.limit, Syntax(level.is_implicit, syntax.is_little_endian))
        at = _enter_item(levels, head) if level.holds == "items" else _pass_element(levels, head)


def _enter_item(levels: list[_Level], head: Element) -> int:
    """Step into the next item of the open sequence, or close the sequence; give the byte to go on from."""
    level = levels[-1]
    if head.tag == SEQUENCE_END and level.end is None and head.length == 0:
        levels.pop()
    elif head.tag == ITEM:
        levels.append(_opened(level, "elements", head, level.is_implicit))
    else:
        raise BrokenStructureError(f"a sequence holds something that is no item at byte {head.start - 8}")
    return head.start


def _pass_element(levels: list[_Level], head: Element) -> int:
    """Step over a plain element, into a sequence, or out of a closed item; give the byte to go on from."""
    level = levels[-1]
    if head.tag == ITEM_END and level.end is None and head.length == 0:
        levels.pop()
        return head.start
    name = f"({head.tag >> 16:04X},{head.tag & 0xFFFF:04X})"
    if head.tag >> 16 == 0xFFFE or head.tag in level.seen:
        raise BrokenStructureError(f"{name} stands twice or out of place at byte {head.start}")
    level.seen.add(head.tag)
    if _is_sequence(head, name):
        # An unknown sequence of undefined length (UN) is encoded implicitly: PS3.5 section 6.2.2, note 2.
        levels.append(_opened(level, "items", head, level.is_implicit or head.vr == b"UN"))
        return head.start
    if head.start + head.length > level.limit:
        raise BrokenStructureError(f"{name} at byte {head.start} says it is longer than what is there")
    return head.start + head.length


def _is_sequence(head: Element, name: str) -> bool:
    is_known = head.tag in SEQUENCE_TAGS
    if not head.vr:  # implicit: the dictionary says it; an unknown tag of undefined length can only be a sequence
        is_sequence = is_known or (head.length == UNDEFINED and head.tag not in DicomDictionary)
    else:
        is_sequence = head.vr == b"SQ" or (head.vr == b"UN" and head.length == UNDEFINED and not is_known)
    if is_known != is_sequence and (is_known or head.tag in DicomDictionary):
        raise BrokenStructureError(f"{name} at byte {head.start} has a wrong value representation")
    if head.length == UNDEFINED and not is_sequence:
        raise BrokenStructureError(f"{name} at byte {head.start} has an undefined length")
    return is_sequence


def _opened(parent: _Level, holds: Literal["items", "elements"], head: Element, is_implicit: bool) -> _Level:
    if head.length == UNDEFINED:
        return _Level(holds, None, parent.limit, is_implicit)
    end = head.start + head.length
    if end > parent.limit:
        raise BrokenStructureError(f"a sequence or item at byte {head.start} is longer than what is there")
    return _Level(holds, end, end, is_implicit)
