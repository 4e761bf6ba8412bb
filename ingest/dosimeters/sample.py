"""The shape of an export without a description: its characters, delimiter, header line and footer.

Only what is visible without the meaning of columns, which ``draft.py`` guesses. It is not used when
exports are loaded: then the description decides (``reader.py``).
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from ingest.problems import UserError
from ingest.user_files import open_regular

HEAD_BYTES, TAIL_BYTES = 4_000_000, 65_536
DELIMITERS = (";", "\t", "|", ",")
_MOST_ABOVE = 1000
_MARKS = (
    (b"\xef\xbb\xbf", "utf-8-sig", "utf-8"),
    (b"\xff\xfe", "utf-16", "utf-16-le"),
    (b"\xfe\xff", "utf-16", "utf-16-be"),
)
_FIGURE = re.compile(r"[-+]?\d[\d.,:/ T'-]*(?:[eE][-+]?\d+)?Z?|[-+]?[.,]\d+")


@dataclass(frozen=True, slots=True)
class Sample:
    """What an export looks like.

    Attributes:
        encoding: as a source description names it.
        encoding_evidence: why, as a half sentence.
        delimiter: between cells.
        above: the lines above the header line.
        header: the names of the columns.
        rows: cells of the lines below it that have as many as the header.
        footer: trailing lines that are no rows.
        is_whole: False if only the beginning and the end of the file were looked at.
    """

    encoding: str
    encoding_evidence: str
    delimiter: str
    above: list[str]
    header: list[str]
    rows: list[list[str]]
    footer: list[str]
    is_whole: bool

    def column(self, index: int) -> list[str]:
        """The cells of one column, trimmed."""
        return [row[index].strip() for row in self.rows]


def take_sample(path: Path) -> Sample:
    """Look at an export.

    Raises:
        UserError: it cannot be read, or has no line of column names above lines of figures.
    """
    try:
        with open_regular(path) as file:
            head = file.read(HEAD_BYTES)
            size = path.stat().st_size
            file.seek(max(len(head), (size - TAIL_BYTES) // 2 * 2))
            tail = file.read(TAIL_BYTES + 2)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}).") from None
    encoding, evidence, codec = _encoding(path, head)
    lines = head.decode(codec, "replace").lstrip("\ufeff").splitlines()
    last_lines = tail.decode(codec, "replace").splitlines()[1:] if tail else lines
    if size > len(head):
        lines = lines[:-1]  # cut off by us, not by the export
    delimiter, width = _delimiter(path, lines)
    cells = [_split(line, delimiter) for line in lines]
    place = _header_place(path, cells, width)
    rows = [row for row in cells[place + 1 :] if len(row) == width]
    footer = _footer(last_lines[-_MOST_ABOVE:], delimiter, width)
    if footer and not tail:
        rows = [row for row in rows if delimiter.join(row) not in footer]
    return Sample(encoding, evidence, delimiter, lines[:place], cells[place], rows, footer, not tail)


def _encoding(path: Path, head: bytes) -> tuple[str, str, str]:
    """Name in a description, evidence, and Python's codec without byte order mark."""
    for mark, name, codec in _MARKS:
        if head.startswith(mark):
            return name, "the file begins with its byte order mark", codec
    if b"\x00" in head:
        raise UserError(
            f"{path.name} holds NUL bytes and no byte order mark, as UTF-16 without mark or a binary file has; "
            "export it as text in UTF-8 or in UTF-16 with mark."
        )
    if head.isascii():
        return "utf-8", "only ASCII characters were seen, which every encoding but UTF-16 writes alike", "utf-8"
    try:
        head[:-4].decode("utf-8")
    except UnicodeDecodeError as error:
        if error.end < len(head) - 8:
            return _single_byte_encoding(head)
    return "utf-8", "all of it is valid UTF-8", "utf-8"


def _single_byte_encoding(head: bytes) -> tuple[str, str, str]:
    runs = Counter(len(run) for run in re.findall(rb"[\x80-\xff]+", head))
    letters = sum(length * count for length, count in runs.items())
    in_words = sum(length * count for length, count in runs.items() if length >= 3)
    if in_words * 2 > letters:
        return "cp1251", "whole words of letters beyond ASCII, as Cyrillic has", "cp1251"
    return "cp1252", "single letters beyond ASCII and no valid UTF-8, as Western European files of Windows", "cp1252"


def _split(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter, strict=True), [])
    except csv.Error:
        return []


def _delimiter(path: Path, lines: list[str]) -> tuple[str, int]:
    """The delimiter with which most lines have equally many cells, and how many; of equals the one with more cells."""
    best: tuple[int, str, int] = (0, "", 0)
    for delimiter in DELIMITERS:
        widths = Counter(len(_split(line, delimiter)) for line in lines[:5000] if line.strip())
        for width, count in widths.most_common(1):
            score = count * (width - 1)
            if score > best[0]:
                best = score, delimiter, width
    if not best[0]:
        raise UserError(
            f"{path.name} is no table: no {', '.join(map(repr, DELIMITERS))} divides its lines into columns."
        )
    return best[1:]


def _header_place(path: Path, cells: list[list[str]], width: int) -> int:
    """Index of the line of names: of full width, without a figure, with figures below it, and with most names.

    A spreadsheet pads the lines above it to full width, by empty cells.
    """
    places = []
    for place, row in enumerate(cells[:_MOST_ABOVE]):
        if len(row) == width and not any(_is_figure(cell) for cell in row):
            below = next((other for other in cells[place + 1 :] if len(other) == width), [])
            if any(_is_figure(cell) for cell in below) or not below:
                places.append(place)
    if places:
        return max(places, key=lambda place: sum(bool(cell.strip()) for cell in cells[place]))
    raise UserError(
        f"{path.name} has no line of column names above its rows; let the export write one, a source needs it."
    )


def _is_figure(cell: str) -> bool:
    return _FIGURE.fullmatch(cell.strip()) is not None


def _footer(lines: list[str], delimiter: str, width: int) -> list[str]:
    """Trailing lines that begin with a word and whose cells are mostly empty or too few, as sums and signatures are."""
    footer: list[str] = []
    for line in reversed([line for line in lines if line.strip()]):
        cells = _split(line, delimiter)
        filled = sum(bool(cell.strip()) for cell in cells)
        begins_with_word = cells and cells[0].strip()[:1].isalpha() and not re.search(r"\d", cells[0])
        if not begins_with_word or (len(cells) == width and filled * 2 > width):
            break
        footer.insert(0, line)
    return footer[-20:]
