"""The last line of an export that has no line end: whether the file itself shows that it is complete.

Only the last cell of a file is judged; every cell before a delimiter is complete.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ingest.dosimeters.description import SourceDescription
from ingest.dosimeters.layouts import PEAK_RATE, QUANTITIES

_NAMES = ("dosimeter_serial", "study_instance_uid", "accession_number")
_ENDING = re.compile(r"([^\w\s])(\d+Z?)$", re.ASCII)


def may_be_cut(source: SourceDescription, column: str | None, text: str, cell: str, cells_above: Sequence[str]) -> bool:
    """Whether a line without line end may have lost a part of a mapped value: half a number is a number too.

    Args:
        source: how the export is read.
        column: canonical name of the last column, None if it is ignored.
        text: the line.
        cell: its last cell.
        cells_above: last cells of the lines above it, as many as are at hand.
    """
    if column is None or text.endswith('"'):  # an ignored cell may be cut; a closing quote is the end
        return False
    if column == "hub":
        return not _is_known_name(cell.strip(), source.hubs)
    if column in _NAMES:
        return True
    tokens = {*source.null_tokens, *source.below_lod_tokens, *source.unused_tokens}
    thousands = source.thousands if column in (*QUANTITIES, PEAK_RATE) else None
    endings = {_ending(other, thousands) for other in cells_above if other.strip() not in tokens}
    return endings != {_ending(cell, thousands)} or endings == {None}


def _is_known_name(name: str, known: Iterable[str]) -> bool:
    """Whether it is one of the names, and the beginning of no other."""
    return [other for other in known if other.startswith(name)] == [name]


def _ending(cell: str, thousands: str | None) -> str | None:
    """The last separator of a number or time and the digits after it as zeros: ``.00`` of 12.50, ``:00Z`` of 08:05Z.

    None where nothing tells that it is whole: a number without decimals ends anywhere.
    """
    found = _ENDING.search(cell.strip())
    if found is None or found[1] == thousands:
        return None
    return found[1] + re.sub(r"\d", "0", found[2])
