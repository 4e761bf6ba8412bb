"""The bytes of a DICOM data set into its elements: one pass that checks each length and keeps each value unchanged.

Only tags, value representations and lengths are inspected here; other modules interpret values. Small items
are cached by their bytes, because nine of ten in a report are the same as another one (a code, a filter) or differ
from it in a number only; reading looks at all bytes but those of values, so it need not be done again. pydicom
tolerates truncation and overlong lengths, so its own reading of a file would have to come after this check, as a second
pass over every element; its dictionary of tags is used, and its decoding of text (text.py).
"""

from __future__ import annotations

from dataclasses import dataclass
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

# Hardly any two NUM items have their number in common, so they are kept without it.
MEASURED, NUMBER, NUMBER_HEAD_BYTES = 0x0040A300, 0x0040A30A, 8
# Items that hold nothing but these are kept: concepts, codes, units and numbers, never names, identifiers or free text.
KEPT_TAGS = frozenset(
    {0x00080100, 0x00080102, 0x00080103, 0x00080104, 0x00080119, 0x00080120}  # a code and its scheme, version, meaning
    | {0x0040A010, 0x0040A040, 0x0040A043, 0x0040A050, 0x0040A168, MEASURED, NUMBER, 0x004008EA, 0x0040A730}
)
LONGEST_KEPT = 1024  # bytes of an item
MOST_KEPT = 8192  # items

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
    """A syntax with what reading it needs: the structures of heads and lengths, and how parts begin and end."""

    is_implicit: bool
    head: Struct  # group, element, value representation, two-byte length
    length: Struct  # four bytes
    item: bytes
    item_end: bytes
    sequence_end: bytes
    number: bytes  # its tag
    number_length: Struct  # the last bytes of its head

    def number_within(self, data: bytes, at: int, end: int) -> tuple[int, int]:
        """From where to where the first number in these bytes seems to lie; 0 and 0 if there is none."""
        head = data.find(self.number, at, end - NUMBER_HEAD_BYTES)
        if head < 0:
            return 0, 0
        start = head + NUMBER_HEAD_BYTES
        behind = start + self.number_length.unpack_from(data, start - self.number_length.size)[0]
        return (start, behind) if start < behind <= end else (0, 0)


def _form(syntax: Syntax) -> _Form:
    order = "<" if syntax.is_little_endian else ">"
    item, item_end, sequence_end, number = (
        Struct(order + "HH").pack(tag >> 16, tag & 0xFFFF) for tag in (ITEM, ITEM_END, SEQUENCE_END, NUMBER)
    )
    number_length = Struct(order + ("I" if syntax.is_implicit else "H"))
    heads = Struct(order + "HH2sH"), Struct(order + "I")
    return _Form(syntax.is_implicit, *heads, item, item_end + bytes(4), sequence_end, number, number_length)


_FORMS = {syntax: _form(syntax) for syntax in (Syntax(i, e) for i in (False, True) for e in (False, True))}
_INSIDE_UN = _FORMS[Syntax(is_implicit=True, is_little_endian=True)]  # PS3.5 section 6.2.2, note 2


def read_data_set(data: bytes, syntax: Syntax) -> DataSet:
    """Read all elements of a data set, or refuse it as a whole.

    Raises:
        BrokenStructureError: with what is wrong and where.
    """
    if syntax.is_implicit and data[4:6].isalpha() and data[4:6].isupper():
        raise BrokenStructureError("it is encoded with explicit value representations though its header says implicit")
    return _Pass(data, _FORMS[syntax], {}).elements(0, len(data), False, 0)[0]


class _Pass(NamedTuple):
    """One pass over bytes. Each step gives what it read and the byte behind it.

    A step ends at its limit, or, if ``is_delimited``, at its delimiter, which must come before the limit.
    """

    data: bytes
    form: _Form
    own: dict[tuple[bytes | _How, ...], DataSet]  # small items that may hold more than codes: kept for this data set

    def elements(self, at: int, limit: int, is_delimited: bool, depth: int) -> tuple[DataSet, int]:
        """The elements of a data set or item."""
        data, form, _ = self
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
                inside = self if vr != b"UN" else _Pass(data, _INSIDE_UN, self.own)
                found[tag], at = inside.items(start, _end(start, length, limit), length == UNDEFINED, depth + 1)
            else:
                at = _end(start, length, limit)
                found[tag] = data[start:at]
        return found, at

    def items(self, at: int, limit: int, is_delimited: bool, depth: int) -> tuple[tuple[DataSet, ...], int]:
        """The items of a sequence."""
        if depth > MAX_DEPTH:
            raise BrokenStructureError(f"sequences are nested more than {MAX_DEPTH} levels deep")
        data, form, _ = self
        read_length = form.length.unpack_from
        items: list[DataSet] = []
        while at < limit or is_delimited:
            start = at + 8
            if start > limit:
                raise BrokenStructureError(f"an item is cut off at byte {at}")
            tag, (length,) = data[at : at + 4], read_length(data, at + 4)
            if tag == form.sequence_end and is_delimited and length == 0:
                return tuple(items), start
            if tag != form.item:
                raise BrokenStructureError(f"a sequence holds something that is no item at byte {at}")
            item, at = self.item(start, _end(start, length, limit), length == UNDEFINED, depth)
            items.append(item)
        return tuple(items), at

    def item(self, at: int, limit: int, is_delimited: bool, depth: int) -> tuple[DataSet, int]:
        """One item: a small one whose bytes were there before, but for its number, is not read again."""
        data, form, own = self
        end = self.likely_end(at) if is_delimited else limit
        if not at <= end <= limit or end - at > LONGEST_KEPT:
            return self.elements(at, limit, is_delimited, depth)
        how = form, is_delimited, depth
        start, behind = form.number_within(data, at, end)
        around = (data[at:start], data[behind:end], how) if start else None
        if around and (known := _kept.get(around)):
            return _with_number(known, data[start:behind]), end
        whole = data[at:end], how
        known = _kept.get(whole) or own.get(whole)
        if known:
            return known, end
        item, read_to = self.elements(at, limit, is_delimited, depth)
        if read_to == end:
            if not _may_be_kept(item):
                own[whole] = item
            elif around and self.is_number(item, at, start, behind, end, how):
                _keep(around, item)
            else:
                _keep(whole, item)
        return item, read_to

    def is_number(self, item: DataSet, at: int, start: int, behind: int, end: int, how: _How) -> bool:
        """Whether these bytes of an item are its number and nothing else: when all of them change, only that does."""
        measured = item.get(MEASURED, ())
        if len(measured) != 1 or not isinstance(measured[0], dict) or NUMBER not in measured[0]:
            return False
        other = bytes(byte ^ 0xFF for byte in self.data[start:behind])
        content = self.data[at:start] + other + self.data[behind:end]
        _, is_delimited, depth = how
        try:
            changed = _Pass(content, self.form, {}).elements(0, len(content), is_delimited, depth)
        except BrokenStructureError:  # what looks like a number's head stands within a value
            return False
        return changed == (_with_number(item, other), len(content))

    def likely_end(self, at: int) -> int:
        """Where a delimited item ends if it is small: at the end mark that is none of an item within it; else -1."""
        data, form, _ = self
        limit, inside = at + LONGEST_KEPT, 0
        while (end := data.find(form.item_end, at, limit)) >= 0:
            inside += data.count(form.item, at, end)
            at = end + len(form.item_end)
            if inside == 0:
                return at
            inside -= 1
        return -1

    def long_value(self, at: int, vr: bytes, limit: int) -> tuple[int, int]:
        """Where the value of an element with a four-byte length starts, and that length."""
        if vr not in LONG_VRS:
            raise BrokenStructureError(f"an unknown value representation stands at byte {at}")
        if at + 12 > limit:
            raise BrokenStructureError(f"an element is cut off at byte {at}")
        return at + 12, self.form.length.unpack_from(self.data, at + 8)[0]


_How: TypeAlias = tuple[_Form, bool, int]
_kept: dict[tuple[bytes | _How, ...], DataSet] = {}
"""Small items by their bytes and how these are read; of a NUM item without its number, by what is before and behind."""


def _keep(key: tuple[bytes | _How, ...], item: DataSet) -> None:
    if len(_kept) >= MOST_KEPT:
        _kept.clear()
    _kept[key] = item


def _may_be_kept(item: DataSet) -> bool:
    """Whether an item and all within it hold coded content and numbers only."""
    return item.keys() <= KEPT_TAGS and all(
        _may_be_kept(inner) for value in item.values() if isinstance(value, tuple) for inner in value
    )


def _with_number(item: DataSet, number: bytes) -> DataSet:
    """A NUM item with another number."""
    (measured,) = item[MEASURED]
    return {**item, MEASURED: ({**measured, NUMBER: number},)}  # type: ignore[dict-item]  # asked before it was kept


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
