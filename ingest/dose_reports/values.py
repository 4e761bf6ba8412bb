"""One value out of the items of a container: numbers by the unit in the item, codes by table, text, UIDs.

A value that cannot be read for certain is None, with an oddity that names concept and cause. Other modules assign
values to columns.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Context, Decimal
from functools import lru_cache
from typing import NamedTuple, TypeVar

from ingest.dose_reports.codes import IMPOSSIBLE_ABOVE, UNIT_SCHEMES, Concepts, Quantity
from ingest.dose_reports.findings import Findings
from ingest.dose_reports.structure import DataSet
from ingest.dose_reports.text import Decoder
from ingest.dose_reports.tree import CODE_VALUE, Children, Code, Item, code_of, raw, sequence
from ingest.units import dicom_unit

MEASURED, NUMBER, UNIT = 0x0040A300, 0x0040A30A, 0x004008EA
_EXACT = Context(prec=200, rounding=ROUND_HALF_EVEN)
_DECIMAL = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?")  # DS of PS3.5
_LEGAL_UID = re.compile(r"[0-9.]{1,64}")
_PADDING = b"\x00 "

_NOT_ASCII = "\ufffd"  # what tree.py leaves of a letter that no code of the standard has

T = TypeVar("T")


class Reading:
    """What reading any value of one report needs: its decoder and the place for its findings."""

    def __init__(self, decoder: Decoder, findings: Findings) -> None:
        self.decoder = decoder
        self.findings = findings

    def number(self, children: Children, quantity: Quantity) -> Decimal | None:
        """A quantity in its column's unit, rounded half-even to its column's digits; None if not stated for certain.

        The first concept that states a value counts. Two different values for one concept are none.
        """
        for concept in quantity.concepts:
            items = children.named(concept)
            if not items:
                continue
            stated = {self._measured(item, quantity) for item in items} - {None}
            if len(stated) == 1:
                return stated.pop()
            if stated:
                self.findings.add("several_values", f"{_name(concept)} states {len(stated)} values", _name(concept))
                return None
        return None

    def coded(self, children: Children, concepts: Concepts, meanings: Mapping[Code, T]) -> T | None:
        """The meaning of a coded item; an unknown code is None with a finding, several meanings likewise."""
        codes = [code for item in children.find(concepts) if (code := item.code) is not None]
        for code in codes:
            if code not in meanings:
                name = _name(concepts[0])
                self.findings.add("unknown_code", f"{name} has the unknown value {_name(code)}", name)
        meant = {meanings[code] for code in codes if code in meanings}
        if len(meant) > 1:
            self.findings.add("several_values", f"{_name(concepts[0])} has {len(meant)} values", _name(concepts[0]))
        return meant.pop() if len(meant) == 1 else None

    def text(self, children: Children, concepts: Concepts) -> str | None:
        """The text of an item; of several different ones none, with a finding."""
        texts = {text for item in children.find(concepts) if (text := self.decoder.text(item.plain))}
        if len(texts) > 1:
            self.findings.add("several_values", f"{_name(concepts[0])} has {len(texts)} values", _name(concepts[0]))
        return texts.pop() if len(texts) == 1 else None

    def uid(self, children: Children, concepts: Concepts) -> str | None:
        """A UID item's value; an illegal one is None with a finding."""
        value = self.text(children, concepts)
        return value if value is None else self.legal_uid(value, _name(concepts[0]))

    def legal_uid(self, value: str, field: str) -> str | None:
        """The UID itself if it has only digits and points, at most 64; else None with a finding."""
        if _LEGAL_UID.fullmatch(value):
            return value
        self.findings.add("illegal_uid", f"{field} holds no legal UID", field)
        return None

    def _measured(self, item: Item, quantity: Quantity) -> Decimal | None:
        """The value of one NUM item; None if it is empty, or, with a finding, if it cannot be read for certain."""
        stated = [measured for measured in sequence(item.data, MEASURED) if raw(measured, NUMBER).strip(_PADDING)]
        if not stated:
            return None
        measured = stated[0]
        is_one = len(stated) == 1  # the standard allows no more
        converted = _converted(raw(measured, NUMBER), self._unit(measured), quantity) if is_one else _SEVERAL
        for code, problem in converted.problems:
            concept = _name(item.concept)
            self.findings.add(code, f"{concept} {problem}", concept)
        return converted.value

    def _unit(self, measured: DataSet) -> Code | None:
        """The code of a value's unit, or None if it has none."""
        code = code_of(measured, UNIT)
        if code is not None and _NOT_ASCII in code[1]:  # a micro or degree sign
            return code[0], self.decoder.text(raw(sequence(measured, UNIT)[0], CODE_VALUE))
        return code


class _Converted(NamedTuple):
    """A number as its column holds it, or None with what is wrong: code and predicate of a finding."""

    value: Decimal | None
    problems: tuple[tuple[str, str], ...] = ()


_SEVERAL = _Converted(None, (("several_values", "is multi-valued"),))


@lru_cache(maxsize=16_384)  # angles, voltages, distances: hardly any number is new
def _converted(number: bytes, unit: Code | None, quantity: Quantity) -> _Converted:
    factor, stated = _factor(unit, quantity.kind), _decimal(number.decode("ascii", "replace").strip("\x00 "))
    if factor.value is None or stated.value is None:
        return _Converted(None, factor.problems + stated.problems)
    return _stored(_EXACT.multiply(stated.value, factor.value), quantity)


def _factor(unit: Code | None, kind: str) -> _Converted:
    """What a value in its unit is multiplied with to be in the canonical unit of its kind."""
    if unit is None:
        return _Converted(None, (("unknown_unit", "has a value without unit"),))
    scheme, value = unit
    known = dicom_unit(value) if scheme in UNIT_SCHEMES else None
    if known is not None and known[0] == kind:
        return _Converted(known[1])
    problem = "unknown unit" if known is None else "unit that does not fit,"
    return _Converted(None, (("unknown_unit", f"has the {problem} {value} {scheme}"),))


def _decimal(stated: str) -> _Converted:
    if "\\" in stated:
        return _SEVERAL
    if len(stated) > 64 or not _DECIMAL.fullmatch(stated):
        return _Converted(None, (("not_a_number", "has a value that is no number"),))
    return _Converted(Decimal(stated))


def _stored(value: Decimal, quantity: Quantity) -> _Converted:
    """A value in the canonical unit of its kind as its column holds it, if it is possible."""
    stored = None
    if abs(value) <= IMPOSSIBLE_ABOVE[quantity.kind] and (value >= 0 or quantity.is_signed):
        column = _EXACT.multiply(value, quantity.factor)
        stored = column.quantize(Decimal(1).scaleb(-quantity.digits), context=_EXACT)
    if stored is None or (value and not stored):  # too small for the column: 0 would claim a measurement of nothing
        return _Converted(None, (("out_of_range", "has an impossible value"),))
    return _Converted(stored)


def _name(concept: Code | None) -> str:
    """A code as it is named in findings, e.g. ``113722 DCM``."""
    return "an item without concept" if concept is None else f"{concept[1]} {concept[0]}"
