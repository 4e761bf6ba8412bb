"""The content tree of a structured report: its items, their concepts and plain values, found by code.

The traversal of the tree is here; meanings of codes are in codes.py, numbers and times in their own modules.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache

from ingest.dose_reports.structure import DataSet

CONTENT, CONCEPT_NAME, CONCEPT_CODE = 0x0040A730, 0x0040A043, 0x0040A168
VALUE_TYPE = 0x0040A040
CODE_VALUE, LONG_CODE_VALUE, URN_CODE_VALUE, SCHEME = 0x00080100, 0x00080119, 0x00080120, 0x00080102
CODE_MEANING = 0x00080104
CODE_VALUES = (CODE_VALUE, LONG_CODE_VALUE, URN_CODE_VALUE)
# Where an item's plain value lies. The value type is not asked: GE writes UIDs as TEXT.
PLAIN_VALUES = (0x0040A160, 0x0040A124, 0x0040A120, 0x0040A123)  # text, UID, date and time, person name

# SNOMED RT had three names over time; its code values are the same under each.
SCHEME_SYNONYMS = {"SNM3": "SRT", "99SDM": "SRT"}

Code = tuple[str, str]
"""Coding scheme designator and code value, the identity of a concept."""


def raw(data: DataSet, tag: int) -> bytes:
    """The bytes of a value as they stand in the file; empty if the element is missing or empty."""
    value = data.get(tag)
    return value if isinstance(value, bytes) else b""


def sequence(data: DataSet, tag: int) -> tuple[DataSet, ...]:
    """The items of a sequence; none if it is missing or empty."""
    items = data.get(tag)
    return items if isinstance(items, tuple) else ()


def code_of(data: DataSet, tag: int) -> Code | None:
    """The code in a code sequence, or None if it is missing or incomplete."""
    for item in sequence(data, tag):
        scheme = raw(item, SCHEME)
        for value_tag in CODE_VALUES:
            if code := _code(scheme, raw(item, value_tag)):
                return code
    return None


@lru_cache(maxsize=4096)  # a report states the same few codes thousands of times
def _code(scheme: bytes, value: bytes) -> Code | None:
    designator, text = _ascii(scheme).upper(), _ascii(value)
    return (SCHEME_SYNONYMS.get(designator, designator), text) if designator and text else None


def _ascii(value: bytes) -> str:
    return value[:64].decode("ascii", "replace").strip("\x00 ")


class Item:
    """One content item: its concept name and the data set that holds its value and children."""

    __slots__ = ("_children", "concept", "data")

    def __init__(self, concept: Code | None, data: DataSet) -> None:
        self.concept = concept
        self.data = data
        self._children: Children | None = None

    @property
    def children(self) -> Children:
        """The items below this one."""
        if self._children is None:
            self._children = Children.of(self.data)
        return self._children

    @property
    def code(self) -> Code | None:
        """The value of a CODE item."""
        return code_of(self.data, CONCEPT_CODE)

    @property
    def plain(self) -> bytes:
        """The undecoded value of a TEXT, UIDREF, DATETIME or PNAME item; empty if it has none."""
        return next(filter(None, (raw(self.data, tag) for tag in PLAIN_VALUES)), b"")


class Children:
    """Content items in document order, found by concept."""

    def __init__(self, items: list[Item]) -> None:
        self.items = items
        self._by_concept: defaultdict[Code, list[Item]] = defaultdict(list)
        for item in items:
            if item.concept is not None:
                self._by_concept[item.concept].append(item)

    @classmethod
    def of(cls, data: DataSet) -> Children:
        """The items of a data set's content sequence."""
        return cls([Item(code_of(child, CONCEPT_NAME), child) for child in sequence(data, CONTENT)])

    def named(self, concept: Code) -> Sequence[Item]:
        """All items that have this concept, in document order."""
        return self._by_concept.get(concept, ())

    def find(self, concepts: Collection[Code]) -> list[Item]:
        """All items that have one of these concepts, in document order within each concept."""
        return [item for concept in concepts for item in self._by_concept.get(concept, ())]

    def flattened(self, containers: Collection[Code]) -> Children:
        """These items and those inside the named containers, at any depth."""
        return Children(list(self._walk(containers)))

    def _walk(self, containers: Collection[Code]) -> Iterator[Item]:
        for item in self.items:
            yield item
            if item.concept in containers:
                yield from item.children._walk(containers)

    def concepts(self) -> Collection[Code]:
        """All concepts that occur."""
        return self._by_concept.keys()
