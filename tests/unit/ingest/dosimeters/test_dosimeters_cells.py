"""Cells of lines: the fast way says what csv says, and columns are trimmed as Python trims a text."""

from __future__ import annotations

import sys

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from ingest.dosimeters.cells import columns_of, plain_columns, split
from ingest.dosimeters.rows import _BLANKS, _joined, _trimmed

DELIMITERS = st.sampled_from([";", ",", "\t", "|", "§"])
CELL = st.text(st.one_of(st.sampled_from(" \t\x00'\\a1é\u00a0\U0001f600"), st.characters(exclude_categories=["Cs"])))
NEVER_IN_A_CELL = '"\r\n;,\t|§'  # without quotes; lines have no line end of any kind in them


@given(
    rows=st.integers(2, 4).flatmap(
        lambda width: st.lists(
            st.lists(CELL.map(lambda cell: cell.translate({ord(c): None for c in NEVER_IN_A_CELL})), min_size=width),
            max_size=8,
        )
    ),
    delimiter=DELIMITERS,
    width=st.integers(1, 5),
)
def test_plain_columns_are_the_cells_that_csv_tells(rows: list[list[str]], delimiter: str, width: int) -> None:
    lines = [row[:width] for row in rows]
    texts = [delimiter.join(line) for line in lines]
    cells, columns = split(texts, delimiter), plain_columns(texts, delimiter, width)
    if width > 1 and all(len(line) == width for line in cells):
        assert columns == columns_of(cells, width)
    else:
        assert columns is None


@given(texts=st.lists(st.text('a";', max_size=6), max_size=4), width=st.integers(2, 3))
def test_lines_with_quotes_are_never_taken_for_plain_ones(texts: list[str], width: int) -> None:
    columns = plain_columns(texts, ";", width)
    assert columns is None or (
        not any('"' in text for text in texts) and columns == columns_of(split(texts, ";"), width)
    )


def test_a_field_that_csv_refuses_is_not_plain() -> None:
    longest = 131_072
    assert plain_columns([f"1;{'2' * (longest - 2)}"], ";", 2) is not None
    assert plain_columns([f"1;{'2' * (longest + 1)}"], ";", 2) is None
    assert split([f"1;{'2' * longest}", f"1;{'2' * (longest + 1)}", "1;2"], ";") == [
        ["1", "2" * longest],
        [],
        ["1", "2"],
    ]


def test_the_blanks_are_those_of_str_strip() -> None:
    assert list(_BLANKS) == [letter for letter in map(chr, range(sys.maxunicode + 1)) if letter.isspace()]


@given(
    st.lists(st.text(st.one_of(st.sampled_from(f"{_BLANKS}ab"), st.characters(exclude_categories=["Cs"]))), min_size=1)
)
def test_columns_are_trimmed_and_joined_as_texts_are(cells: list[str]) -> None:
    assert _trimmed([pa.array([cell]) for cell in cells]).to_pylist() == [_joined(cells)]
