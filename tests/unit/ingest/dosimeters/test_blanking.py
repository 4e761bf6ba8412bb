"""A copy of an export without its ignored cells is read as the export itself, line by line, and names nobody."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.exports import source

from ingest.dosimeters.blanking import without_cells
from ingest.dosimeters.reader import places_in, read_export

SECRET = "Quinferez"
ENCODINGS = ("utf-8", "utf-8-sig", "cp1252", "utf-16")
COLUMNS = {"dosimeter_serial": "Badge", "started_at": "Time", "hp10": "Rate"}
GOOD = "B1;{name};2024-03-05T10:00:0{n};{n}.5"
LINES = (
    GOOD,
    'B1;"{name}; and ""more""";2024-03-05T10:00:0{n};{n}.5',
    'B1;{name};"2024-03-05T10:00:0{n}";"{n}.5"',
    "B1;{name};2024-03-05T10:00:0{n};{n}.5;{name}",  # a cell too many
    "B1;{name}",
    'B1;"{name};2024-03-05T10:00:0{n};{n}.5',  # a quote that is not closed
    ";{name};;",
    "",
    "B1;{name};no time;{n}.5",
    "Total;{name};;",
    "B1;{name}\x81;2024-03-05T10:00:0{n};{n}.5",
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    lines=st.lists(st.sampled_from(LINES), min_size=1, max_size=9),
    encoding=st.sampled_from(ENCODINGS),
    is_ended=st.booleans(),
    line_end=st.sampled_from(["\n", "\r\n"]),
)
def test_a_copy_is_read_as_the_export(
    tmp_path: Path, lines: list[str], encoding: str, line_end: str, *, is_ended: bool
) -> None:
    described = source(
        "rate_samples",
        encoding=encoding,
        columns=COLUMNS,
        units={"hp10": "uSv/h"},
        ignored_columns=["Person"],
        datetime_format="iso8601",
        footer_pattern="^Sum",
        skip_rows=1,
    )
    rows = [line.format(name=SECRET, n=number) for number, line in enumerate(lines)]
    text = line_end.join(["a title", "Badge;Person;Time;Rate", *rows, "Sum;;;9"]) + (line_end if is_ended else "")
    export, copy = tmp_path / "export.csv", tmp_path / "copy.csv"
    raw = text.encode(encoding, "replace") if encoding == "utf-16" else text.encode("latin-1")
    export.write_bytes(raw)
    mapped, ignored = places_in(export, described)
    copy.write_bytes(b"".join(without_cells(export, described, len(mapped | ignored), ignored)))
    assert SECRET.encode() not in copy.read_bytes()
    assert SECRET.encode("utf-16-le") not in copy.read_bytes()
    ours, theirs = list(read_export(copy, described)), list(read_export(export, described))
    assert [batch.rows for batch in ours] == [batch.rows for batch in theirs]
    assert [(row.line, row.reason) for batch in ours for row in batch.rejected] == [
        (row.line, row.reason) for batch in theirs for row in batch.rejected
    ]
    assert [batch.statement for batch in ours] == [batch.statement for batch in theirs]


@pytest.mark.parametrize("line", ["B1;{name};2024-03-05T10:00:00;1.5"])
def test_mapped_cells_stay_as_they_are_written(tmp_path: Path, line: str) -> None:
    described = source(
        "rate_samples",
        encoding="utf-8",
        columns=COLUMNS,
        units={"hp10": "uSv/h"},
        ignored_columns=["Person"],
        datetime_format="iso8601",
    )
    export = tmp_path / "export.csv"
    header = "Badge;Person;Time;Rate\n"
    export.write_text(header + line.format(name=SECRET) + "\n", encoding="utf-8")
    blank = b"".join(without_cells(export, described, 4, frozenset({1})))
    assert blank.decode() == header + line.format(name="") + "\n"
