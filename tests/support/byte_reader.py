"""What a dosimeter export states, counted from its bytes by a second reader that shares no line with the product's.

It knows the input contract, the keys of a source's YAML and Python's own csv and decimal; no time is read, for a row
states its dose whether or not its time can be read.
"""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Iterator
from decimal import Context, Decimal
from typing import Any

USV = {"nSv": "0.001", "uSv": "1", "µSv": "1", "μSv": "1", "mSv": "1000", "Sv": "1e6", "mrem": "10", "rem": "10000"}
SECONDS = {"h": 3600, "min": 60, "s": 1}
MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
QUANTITIES = ("hp10", "hp007", "hp3")
LEFT_OUT: dict[str, Any] = {
    "skip_rows": 0,
    "footer_pattern": None,
    "thousands": None,
    "units": {},
    "unit_column": {},
    "ignored_columns": [],
    "null_tokens": [""],
    "below_lod_tokens": [],
    "unused_tokens": [],
}
EXACT = Context(prec=200)

Statement = dict[str, tuple[int, Decimal]]  # rows and microsievert by quantity


def statements(content: bytes, described: dict[str, Any]) -> list[Statement] | None:
    """What a file may state; None if its header does not fit.

    Of a last line without line end the contract says that it is rejected where it is incomplete, which the bytes do not
    always show: then the statement without its microsievert and the one with them are both right.
    """
    d = LEFT_OUT | described
    table = _table(content, d)
    if table is None:
        return None
    header, lines, is_ended = table
    whole: list[Statement] = [{quantity: (0, Decimal(0)) for quantity in QUANTITIES if quantity in d["columns"]}]
    for nth, line in enumerate(lines):
        damaged = dict.fromkeys(whole[0], Decimal(0))
        said = _doses(line, header, d)
        readings = [damaged if said is None else said]
        if said is not None and nth == len(lines) - 1 and not is_ended:
            readings.append(damaged)
        whole = [_plus(sums, reading) for sums in whole for reading in readings]
    return [{quantity: sums for quantity, sums in one.items() if sums[0]} for one in whole]


def _plus(sums: Statement, line: dict[str, Decimal]) -> Statement:
    return {
        quantity: (rows + (quantity in line), usv + line.get(quantity, Decimal(0)))
        for quantity, (rows, usv) in sums.items()
    }


def _table(content: bytes, d: dict[str, Any]) -> tuple[list[str], list[str], bool] | None:
    """Header, lines of data that are not blank, and whether the last of them has a line end."""
    mark = next((name for mark, name in MARKS.items() if content.startswith(mark)), None)
    if (mark and mark != d["encoding"]) or (content and d["encoding"] == "utf-16" and not mark):
        return None
    text = content.decode(d["encoding"], "replace").replace("\r\n", "\n").replace("\r", "\n")
    *ended, rest = text.split("\n")
    lines, is_ended = [*ended, rest] if rest else ended, not rest
    if len(lines) <= d["skip_rows"]:
        return None
    header = [_same(cell) for cell in _cells(lines[d["skip_rows"]], d["delimiter"])]
    columns = [name for names in d["columns"].values() for name in ([names] if isinstance(names, str) else names)]
    mapped = {_same(name) for name in [*columns, *d["unit_column"].values()]}
    known = mapped | {_same(name) for name in d["ignored_columns"]}
    if any(header.count(name) != 1 for name in mapped) or not set(header) <= known or "\ufffd" in "".join(header):
        return None
    body = lines[d["skip_rows"] + 1 :]
    while body and (not body[-1].strip() or (d["footer_pattern"] and re.search(d["footer_pattern"], body[-1]))):
        body.pop()
        is_ended = True
    return header, [line for line in body if line.strip()], is_ended


def _same(name: str) -> str:
    return unicodedata.normalize("NFKC", name).strip()


def _cells(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter, strict=True), [])
    except csv.Error:
        return []


def _doses(line: str, header: list[str], d: dict[str, Any]) -> dict[str, Decimal] | None:
    """Microsievert by quantity, 0 where a cell states none that can be read; None if the line is no row."""
    cells = _cells(line, d["delimiter"])
    if "\ufffd" in line or len(cells) != len(header):
        return None
    row = {name: cell.strip() for name, cell in zip(header, cells, strict=True)}
    return dict(_stated(row, d))


def _stated(row: dict[str, str], d: dict[str, Any]) -> Iterator[tuple[str, Decimal]]:
    for quantity in QUANTITIES:
        if quantity not in d["columns"]:
            continue
        names = d["columns"][quantity]
        text = " ".join(row[_same(name)] for name in ([names] if isinstance(names, str) else names)).strip()
        if text in [*d["null_tokens"], *d["unused_tokens"]]:
            continue
        unit = row[_same(d["unit_column"][quantity])] if quantity in d["unit_column"] else d["units"][quantity]
        yield quantity, Decimal(0) if text in d["below_lod_tokens"] else _usv(text, unit, d)


def _usv(text: str, unit: str, d: dict[str, Any]) -> Decimal:
    number = _number(text, d["decimal"], d["thousands"])
    stem, _, period = unit.partition("/")
    is_rate = d["layout"] == "rate_samples"
    if number is None or stem not in USV or (period in SECONDS) != is_rate or (not is_rate and "/" in unit):
        return Decimal(0)
    value = EXACT.multiply(number, Decimal(USV[stem]))
    if is_rate:
        value = EXACT.divide(EXACT.multiply(value, Decimal(str(d["sample_seconds"]))), SECONDS[period])
    return value.quantize(Decimal("1e-9"), context=EXACT) if 0 <= value <= 10_000_000 else Decimal(0)


def _number(text: str, decimal: str, thousands: str | None) -> Decimal | None:
    if len(text) > 40 or not text.isascii():
        return None
    sign, body = (text[0], text[1:]) if text[:1] in ("+", "-") else ("", text)
    mantissa, e, exponent = body.replace("E", "e").partition("e")
    whole, point, fraction = mantissa.partition(decimal)
    groups = whole.split(thousands) if thousands else [whole]
    if len(groups) > 1 and not (1 <= len(groups[0]) <= 3 and all(len(group) == 3 for group in groups[1:])):
        return None
    digits = exponent.lstrip("+-") if exponent[:1] in ("+", "-") and exponent[1:2].isdigit() else exponent
    parts = [*groups] if whole or not point else []
    parts += [fraction] if point else []
    parts += [digits] if e else []
    if not all(part.isdigit() for part in parts) or (e and len(digits) > 3):
        return None
    return Decimal(f"{sign}{''.join(groups) or '0'}.{fraction or '0'}e{exponent or '0'}")
