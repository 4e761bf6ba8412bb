"""An export as numbered lines, in pieces of bounded size: bytes, character sets, line ends, preamble and footer.

Without columns and values. A line is a physical line, numbered from 1 as an editor numbers it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import TextIOWrapper
from itertools import chain
from pathlib import Path

from ingest.records import Refused
from ingest.user_files import open_regular

UNREADABLE = "\ufffd"  # what stands for bytes that are no character of the encoding
PIECE_CHARS = 1 << 20
LONGEST_LINE_CHARS = 1 << 20  # what is beyond is cut off: csv refuses such fields, so memory stays bounded
LONGEST_FOOTER_LINES = 1000

_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


@dataclass(frozen=True, slots=True)
class Lines:
    """Consecutive lines of a file.

    Attributes:
        first: number of the first one.
        texts: without their line ends.
        is_ended: whether the last one has a line end; only the last line of a file may lack it.
        bytes_read: of the file so far, for telling progress.
    """

    first: int
    texts: list[str]
    is_ended: bool = True
    bytes_read: int = 0


def read_lines(path: Path, encoding: str) -> Iterator[Lines]:
    """The lines of a file; bytes that are no text in that encoding become ``UNREADABLE``.

    Raises:
        Refused: the file's byte order mark and the encoding do not fit.
        OSError: the file cannot be read.
    """
    _check_mark(path, encoding)
    first, rest, bytes_read = 1, "", 0
    with open_regular(path) as content, TextIOWrapper(content, encoding=encoding, errors="replace") as file:
        while piece := file.read(PIECE_CHARS):
            texts = (rest + piece).split("\n")
            rest = texts.pop()[:LONGEST_LINE_CHARS]
            bytes_read = content.tell()
            if texts:
                yield Lines(first, texts, bytes_read=bytes_read)
                first += len(texts)
    if rest:
        yield Lines(first, [rest], is_ended=False, bytes_read=bytes_read)


def _check_mark(path: Path, encoding: str) -> None:
    with open_regular(path) as file:
        head = file.read(3)
    found = next((name for mark, name in _MARKS.items() if head.startswith(mark)), None)
    if found and found != encoding:
        raise Refused(
            "quarantined", f"the file begins with the mark of {found}, its source description says {encoding}"
        )
    if head and encoding == "utf-16" and not found:
        raise Refused("quarantined", "the file has no byte order mark, so it is not the utf-16 that its source says")


def split_off(pieces: Iterator[Lines], count: int) -> tuple[list[str], Iterator[Lines]]:
    """The first ``count`` lines (fewer if there are no more), and what follows them."""
    taken: list[str] = []
    for piece in pieces:
        wanted = count - len(taken)
        taken += piece.texts[:wanted]
        if len(taken) == count:
            after = Lines(piece.first + wanted, piece.texts[wanted:], piece.is_ended, piece.bytes_read)
            return taken, chain([after], pieces) if after.texts else pieces
    return taken, iter(())


def without_footer(pieces: Iterator[Lines], pattern: str | None, footer: list[Lines] | None = None) -> Iterator[Lines]:
    """The lines without those at the very end of the file that match; a match further up is data.

    Lines that may turn out to be the footer are held back until a line after them is none.

    Args:
        pieces: the lines below the header.
        pattern: the regular expression of footer lines.
        footer: the lines left out are added to it at the end.
    """
    if pattern is None:
        yield from pieces
        return
    is_footer = footer_of(pattern)

    def may_end(text: str) -> bool:
        return is_blank(text) or is_footer(text)

    held: list[str] = []
    for piece in pieces:
        texts = held + piece.texts
        first, keep = piece.first - len(held), len(texts)
        while keep > max(0, len(texts) - LONGEST_FOOTER_LINES) and may_end(texts[keep - 1]):
            keep -= 1
        held, end = texts[keep:], first + keep
        yield Lines(first, texts[:keep], piece.is_ended or bool(held), piece.bytes_read)
    if held and footer is not None:
        footer.append(Lines(end, held))


def footer_of(pattern: str | None) -> Callable[[str], bool]:
    """Whether a line looks like a footer."""
    if pattern is None:
        return lambda _text: False
    search = re.compile(pattern).search
    return lambda text: search(text) is not None


def is_blank(text: str) -> bool:
    """Whether a line holds nothing."""
    return not text or text.isspace()
