"""An export without the cells of its ignored columns, so that a copy of it can be kept: they may name people.

All else is unchanged: lines and their numbers, mapped cells as written, and whether a line can be read.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from io import TextIOWrapper
from pathlib import Path

from ingest.dosimeters.cells import split
from ingest.dosimeters.description import SourceDescription
from ingest.dosimeters.lines import LONGEST_LINE_CHARS, PIECE_CHARS, UNREADABLE, is_blank
from ingest.user_files import open_regular

_FILLED = "."  # in place of nothing, where a line of blanks alone would be left
_BROKEN_QUOTES = '"'


def without_cells(path: Path, source: SourceDescription, width: int, places: frozenset[int]) -> Iterator[bytes]:
    """The bytes of an export of which the cells at some places are empty.

    Args:
        path: the export, which fits its description.
        source: its description.
        width: how many cells its header has.
        places: of the columns to leave out.
    """
    decoding, encoding, errors = _codecs(source.encoding)
    hide = _Hiding(source, width, places)
    if encoding == "utf-16-le":
        yield codecs.BOM_UTF16_LE
    line, rest = 0, ""
    with open_regular(path) as content, TextIOWrapper(content, encoding=decoding, errors=errors) as file:
        while piece := file.read(PIECE_CHARS):
            texts = (rest + piece).split("\n")
            rest = texts.pop()[:LONGEST_LINE_CHARS]
            shown = [
                text if number <= source.skip_rows else hide.cells_of(text) for number, text in enumerate(texts, line)
            ]
            yield "".join(text + "\n" for text in shown).encode(encoding, errors)
            line += len(texts)
    if rest:
        yield (rest if line <= source.skip_rows else hide.cells_of(rest)).encode(encoding, errors)


def _codecs(encoding: str) -> tuple[str, str, str]:
    """How to decode and encode again, and what to do with bytes that are no character: they stay."""
    if encoding == "utf-16":
        return "utf-16", "utf-16-le", "replace"
    name = "utf-8" if encoding == "utf-8-sig" else encoding  # its mark stays as a character
    return name, name, "surrogateescape"


class _Hiding:
    def __init__(self, source: SourceDescription, width: int, places: frozenset[int]) -> None:
        self._delimiter, self._width, self._places = source.delimiter, width, places
        self._is_footer = re.compile(source.footer_pattern).search if source.footer_pattern else None
        unquoted = f"[^{re.escape(source.delimiter)}]*"
        self._cell = re.compile(f'(?:"(?:[^"]|"")*"|{unquoted})(?:{re.escape(source.delimiter)}|$)')

    def cells_of(self, text: str) -> str:
        """A line without the cells that are left out; of one that is no row only how many cells it has."""
        if is_blank(text) or (self._is_footer and self._is_footer(text)):
            return text
        cells = self._cells(text)
        if not cells:
            return _BROKEN_QUOTES
        hidden = self._places if len(cells) == self._width else frozenset(range(len(cells)))
        shown = self._delimiter.join(_hidden(c) if place in hidden else c for place, c in enumerate(cells))
        if not is_blank(shown):
            return shown
        return self._delimiter.join(_FILLED if place in hidden else c for place, c in enumerate(cells))

    def _cells(self, text: str) -> list[str]:
        """The cells as they are written, with their quotes; none where csv cannot tell them apart."""
        parsed = split([text], self._delimiter)[0]
        if '"' not in text:
            return parsed
        return [found[0].removesuffix(self._delimiter) for found in self._cell.finditer(text)][: len(parsed)]


def _hidden(cell: str) -> str:
    """Nothing, or what keeps a line unreadable that holds bytes which are no text."""
    return next((letter for letter in cell if letter == UNREADABLE or "\udc80" <= letter <= "\udcff"), "")
