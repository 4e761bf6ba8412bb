"""The export reader: layouts, damaged lines, character sets, footers, headers and privacy."""

from __future__ import annotations

import json
import tracemalloc
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.exports import read, source

from ingest.dosimeters.reader import read_export
from ingest.records import DoseRow, Refused

HEAD = "badge;at;dose\n"
GOOD = "1001;2024-03-04T08:00:00Z;2.5\n"
EIGHT = datetime(2024, 3, 4, 8, tzinfo=UTC)


def reasons(folder: Path, content: str | bytes, **changes: Any) -> list[tuple[int, str]]:
    return [(row.line, row.reason) for row in read(folder, content, source(**changes)).rejected]


def refusal(folder: Path, content: str | bytes, **changes: Any) -> str:
    with pytest.raises(Refused) as caught:
        read(folder, content, source(**changes))
    assert caught.value.status == "quarantined"
    return caught.value.reason


# --- layouts -------------------------------------------------------------------------------------------------------


def test_rate_samples_are_rate_times_seconds(tmp_path: Path) -> None:
    columns = {"dosimeter_serial": "badge", "started_at": ["day", "time"], "hp10": "rate", "hub": "hub"}
    description = source(
        "rate_samples",
        columns=columns,
        sample_seconds=2,
        units={"hp10": "µSv/min"},
        datetime_format="%d.%m.%Y %H:%M:%S",
    )
    text = "day;time;badge;rate;hub\n04.03.2024;09:00:00; 1001 ;1;B1\n04.03.2024;09:00:02;1001;7;\n"
    first, second = read(tmp_path, text, description).rows
    assert first == DoseRow(
        2, "1001", "hp10", Decimal("0.033333333"), None, EIGHT, EIGHT + timedelta(seconds=2), False, False, "B1"
    )
    assert (second.value_usv, second.hub) == (Decimal("0.233333333"), None)


@pytest.mark.parametrize("counter", ["increment", "cumulative"])
def test_hourly_totals_last_an_hour_and_counters_keep_their_readings(tmp_path: Path, counter: str) -> None:
    (row,) = read(tmp_path, HEAD + GOOD, source(counter=counter)).rows
    assert (row.value_usv, row.started_at, row.ended_at) == (Decimal("2.5"), EIGHT, EIGHT + timedelta(hours=1))


def test_counter_log_has_no_end(tmp_path: Path) -> None:
    (row,) = read(tmp_path, HEAD + GOOD, source("counter_log", units={"hp10": "mrem"})).rows
    assert (row.value_usv, row.ended_at) == (Decimal(25), None)


def test_sessions_have_every_quantity_and_a_peak_rate(tmp_path: Path) -> None:
    doses = {"hp10": "d10", "hp007": "d07", "hp3": "d3", "peak_rate": "p"}
    columns = {"dosimeter_serial": "b", "started_at": "s", "ended_at": "e"} | doses
    units = {"hp10": "mSv", "hp007": "uSv", "hp3": "nSv", "peak_rate": "mSv/s"}
    text = "b;s;e;d10;d07;d3;p\n1;2024-03-04T08:00:00Z;2024-03-04T09:30:00Z;0.0032;-;4;0.5\n"
    rows = read(tmp_path, text, source("sessions", columns=columns, units=units)).rows
    assert {row.quantity: row.value_usv for row in rows} == {"hp10": Decimal("3.2"), "hp3": Decimal("0.004")}
    assert {row.peak_rate_usv_per_h for row in rows} == {Decimal(1_800_000)}
    assert {row.ended_at for row in rows} == {EIGHT + timedelta(minutes=90)}


def test_a_session_cannot_end_before_it_starts(tmp_path: Path) -> None:
    text = "badge;at;end;dose\n1;2024-03-04 09:00;2024-03-04 08:59;1\n2;2024-03-04 09:00;-;1\n"
    assert reasons(tmp_path, text, layout="sessions") == [
        (2, "ended_at is before started_at"),
        (3, "ended_at is empty"),
    ]


def test_a_session_into_the_doubled_hour_is_ambiguous_and_not_refused(tmp_path: Path) -> None:
    text = "badge;at;end;dose\n1;2024-10-27 02:50;2024-10-27 02:10;1\n1;2024-10-27 01:50;2024-10-27 02:10;1\n"
    batch = read(tmp_path, text, source("sessions"))
    assert batch.rejected == []
    assert [(row.ended_at, row.is_ambiguous, row.is_start_doubled) for row in batch.rows] == [
        (datetime(2024, 10, 27, 1, 10, tzinfo=UTC), True, True),
        (datetime(2024, 10, 27, 0, 10, tzinfo=UTC), True, False),
    ]


def test_procedure_totals_need_a_study_and_no_time(tmp_path: Path) -> None:
    columns = {"dosimeter_serial": "b", "study_instance_uid": "u", "accession_number": "a", "hp10": "d"}
    text = "b;u;a;d\n1;1.2.3;A1;5\n1;;A2;6\n1;1.2.4;;7\n1;;;8\n1;1.2.x;A3;9\n"
    batch = read(tmp_path, text, source("procedure_totals", columns=columns))
    assert [(row.study_instance_uid, row.accession_number, row.started_at) for row in batch.rows] == [
        ("1.2.3", "A1", None),
        (None, "A2", None),
        ("1.2.4", None, None),
    ]
    assert [(row.line, row.reason) for row in batch.rejected] == [
        (5, "study_instance_uid and accession_number are both empty"),
        (6, "study_instance_uid is not a DICOM UID"),
    ]


def test_badge_periods_span_local_days(tmp_path: Path) -> None:
    columns = {"dosimeter_serial": "b", "period_begin": "f", "period_end": "t", "hp10": "d", "hp007": "s"}
    units = {"hp10": "mSv", "hp007": "mSv"}
    text = "b;f;t;d;s\n1;01/03/2024;31/03/2024;0,68;M\n2;01/03/2024;31/03/2024;Unused;Unused\n"
    text += "3;31/03/2024;01/03/2024;1;1\n"
    description = source("badge_periods", columns=columns, units=units, datetime_format="%d/%m/%Y", decimal=",")
    batch = read(tmp_path, text, description)
    whole = (date(2024, 3, 1), date(2024, 3, 31))
    assert [(r.quantity, r.value_usv, r.token, (r.period_begin, r.period_end)) for r in batch.rows] == [
        ("hp10", Decimal(680), None, whole),
        ("hp007", None, "below_detection", whole),
    ]
    assert batch.rows[0].started_at == datetime(2024, 2, 29, 23, tzinfo=UTC)
    assert batch.rows[0].ended_at == datetime(2024, 3, 31, 22, tzinfo=UTC)
    assert [(row.line, row.reason) for row in batch.rejected] == [(4, "period_end is before period_begin")]


def test_doubled_and_missing_hours(tmp_path: Path) -> None:
    text = HEAD + "1;2024-10-27 02:00;1\n1;2024-03-31 02:30;1\n1;2024-10-27T02:00:00+01:00;1\n"
    batch = read(tmp_path, text, source())
    assert [(row.started_at, row.is_ambiguous) for row in batch.rows] == [
        (datetime(2024, 10, 27, 0, tzinfo=UTC), True),
        (datetime(2024, 10, 27, 1, tzinfo=UTC), False),
    ]
    assert [row.line for row in batch.rejected] == [3]
    assert not any(row.is_ambiguous for row in read(tmp_path, text, source(dst=False)).rows)


# --- damaged lines -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("1001;2024-03-04T08:00:00Z;NaN", "hp10 is not a number"),
        ("1001;2024-03-04T08:00:00Z;inf", "hp10 is not a number"),
        ("1001;2024-03-04T08:00:00Z;2,5", "hp10 is not a number"),
        ("1001;2024-03-04T08:00:00Z;1e308", "hp10 is more than 10 Sv"),
        ("1001;2024-03-04T08:00:00Z;10000000.1", "hp10 is more than 10 Sv"),
        ("1001;2024-03-04T08:00:00Z;-0.1", "hp10 is negative"),
        ("1001;2024-03-04T08:00:00Z;=1+1", "hp10 is not a number"),
        ("=cmd|' /C calc'!A0;2024-03-04T08:00:00Z;1", "dosimeter_serial begins like a spreadsheet formula"),
        ("@SUM(A1);2024-03-04T08:00:00Z;1", "dosimeter_serial begins like a spreadsheet formula"),
        (";2024-03-04T08:00:00Z;1", "dosimeter_serial is empty"),
        ("10\x0001;2024-03-04T08:00:00Z;1", "dosimeter_serial holds a quote or a character that cannot be printed"),
        ("1001;-;1", "started_at is empty"),
        ("1001;1900-01-01T00:00:00;1", "started_at has a year outside 1990 to 2099"),
        ("1001;2100-01-01T00:00:00;1", "started_at has a year outside 1990 to 2099"),
        ("1001;2024-03-04;1", "started_at is not an ISO 8601 date with time"),
        ("1001;2024-03-04T08:00:00Z", "has 2 fields where the header has 3"),
        ("1001;2024-03-04T08:00:00Z;1;1", "has 4 fields where the header has 3"),
        ('1001;"2024-03-04T08:00:00Z;1', "has broken quotes, or a field of more than 131072 characters"),
        ('1001;"2024"-03-04T08:00:00Z;1', "has broken quotes, or a field of more than 131072 characters"),
        ("1001;2024-03-04T08:00:00Z;" + "1" * 140_000, "has broken quotes, or a field of more than 131072 characters"),
        ("1001;2024-03-04T08:00:00Z;" + "1" * 41, "hp10 is not a number"),
    ],
)
def test_a_line_that_cannot_be_read_is_rejected_and_its_neighbours_load(tmp_path: Path, line: str, reason: str) -> None:
    batch = read(tmp_path, f"{HEAD}{GOOD}{line}\n\n{GOOD}", source())
    assert [(row.line, row.reason) for row in batch.rejected] == [(3, reason)]
    assert [row.line for row in batch.rows] == [2, 5]


def test_a_line_is_refused_as_a_whole(tmp_path: Path) -> None:
    columns = {"dosimeter_serial": "b", "started_at": "t", "hp10": "d", "hp007": "s"}
    text = "b;t;d;s\n1;2024-03-04T08:00:00Z;1;-1\n"
    batch = read(tmp_path, text, source(columns=columns, units={"hp10": "uSv", "hp007": "uSv"}))
    assert (batch.rows, [row.reason for row in batch.rejected]) == ([], ["hp007 is negative"])


def test_tokens(tmp_path: Path) -> None:
    text = HEAD + "".join(
        f"1;2024-03-04T0{hour}:00:00Z;{token}\n" for hour, token in enumerate(["M", "-", "", "Unused"])
    )
    batch = read(tmp_path, text, source())
    assert [(row.line, row.value_usv, row.token) for row in batch.rows] == [(2, None, "below_detection")]
    assert batch.rejected == []


@pytest.mark.parametrize(
    ("last", "columns", "reason"),
    [
        ("1001;2024-03-04T09", "badge;at;dose", "is an incomplete last line: it has 2 fields where the header has 3"),
        (
            "1001;2024-03-04T09:00:00Z;2",
            "badge;at;dose",
            "is an incomplete last line: it has no line end, so its hp10 may be cut; export it again",
        ),
        ("2;1001;2024-03-04T09:00:00Z;8", "dose;badge;at;name", None),
        ('1001;2024-03-04T09:00:00Z;"2.5"', "badge;at;dose", None),
        ("1001;2024-03-04T09:00:00Z;2\r", "badge;at;dose", None),
    ],
)
def test_a_last_line_without_end_is_read_only_if_nothing_mapped_can_be_cut(
    tmp_path: Path, last: str, columns: str, reason: str | None
) -> None:
    batch = read(tmp_path, f"{columns}\n{last}", source(ignored_columns=["name"]))
    assert [row.reason for row in batch.rejected] == ([reason] if reason else [])
    assert len(batch.rows) == (0 if reason else 1)


@pytest.mark.parametrize(
    ("above", "last", "is_read"),
    [
        ("1.5|0.2|12.0", "3.1", True),
        ("1.50|0.25|12.05", "3.1", False),
        ("1.5|2", "3.1", False),
        ("12|120", "40", False),
        ("1.2E-03|5.0E-01", "1.2E-03", True),
        ("1.2E-03|5.0E-01", "1.2E-0", False),
        ("1.2E-03|5.0E-01", "1.2", False),
        ("M|-", "M", False),
        ("1.5|M|2.5|-", "3.1", True),
        ("M", "3.1", False),
    ],
)
def test_a_last_number_without_line_end_is_read_if_it_ends_as_all_above_it(
    tmp_path: Path, above: str, last: str, is_read: bool
) -> None:
    doses = [*above.split("|"), last]
    lines = [f"1001;2024-03-04T{hour:02}:00:00Z;{dose}" for hour, dose in enumerate(doses)]
    batch = read(tmp_path, HEAD + "\n".join(lines), source())
    assert [row.line for row in batch.rejected] == ([] if is_read else [len(doses) + 1])


def test_a_group_of_thousands_is_no_sign_of_a_whole_number(tmp_path: Path) -> None:
    text = f"{HEAD}1001;2024-03-04T08:00:00Z;1'200\n1001;2024-03-04T09:00:00Z;1'300"
    assert [line for line, _ in reasons(tmp_path, text, thousands="'")] == [3]


@pytest.mark.parametrize(
    ("last", "is_read"), [("BASE-1", False), ("BASE-12", True), ("BASE", False), ("BASE-3", False), ("LAB", True)]
)
def test_a_last_hub_without_line_end_is_read_if_it_is_known_and_begins_no_other(
    tmp_path: Path, last: str, is_read: bool
) -> None:
    columns = {"dosimeter_serial": "badge", "started_at": "at", "hp10": "dose", "hub": "hub"}
    hubs = {"BASE-1": "A", "BASE-12": "B", "LAB": "C"}
    text = f"badge;at;dose;hub\n1001;2024-03-04T08:00:00Z;1;BASE-1\n1001;2024-03-04T09:00:00Z;1;{last}"
    batch = read(tmp_path, text, source(columns=columns, hubs=hubs))
    assert len(batch.rows) == 1 + is_read


@pytest.mark.parametrize(("last", "is_read"), [("2024-03-04 09:15", True), ("2024-03-04 09:1", False)])
def test_a_last_time_without_line_end_is_read_if_it_is_as_long_as_those_above(
    tmp_path: Path, last: str, is_read: bool
) -> None:
    columns = {"dosimeter_serial": "badge", "started_at": "at", "hp10": "dose", "ended_at": "end"}
    text = "badge;dose;at;end\n1;1;2024-03-04 08:00;2024-03-04 08:05\n1;1;2024-03-04 09:00;" + last
    batch = read(tmp_path, text, source("sessions", columns=columns, datetime_format="%Y-%m-%d %H:%M"))
    assert len(batch.rows) == 1 + is_read


def test_mixed_encodings_reject_the_line_and_not_the_file(tmp_path: Path) -> None:
    text = (HEAD + GOOD).encode() + "1001;2024-03-04T08:00:00Z;2µ\n".encode("cp1252") + GOOD.encode()
    assert reasons(tmp_path, text) == [(3, "holds bytes that are not utf-8")]


def test_a_lost_byte_in_utf_16_does_not_crash(tmp_path: Path) -> None:
    whole = (HEAD + GOOD * 3).encode("utf-16")
    batch = read(tmp_path, whole[: -len(GOOD) * 2 + 5] + whole[-len(GOOD) * 2 + 6 :], source(encoding="utf-16"))
    assert [row.line for row in batch.rows] == [2, 3]
    assert [row.line for row in batch.rejected] == [4]


def test_raw_holds_mapped_columns_only(tmp_path: Path) -> None:
    text = (
        "name;badge;at;dose\nNúñez, Ana;1001;2024-03-04T08:00:00Z;x\nNúñez; Ana;1001;2024-03-04T08:00:00Z;1\n"
        'Núñez, Ana;"1001;2024-03-04T08:00:00Z;1\nNúñez, Ana;1001'
    )
    rejected = read(tmp_path, text, source(ignored_columns=["name"])).rejected
    assert json.loads(rejected[0].raw) == {
        "dosimeter_serial": "1001",
        "started_at": "2024-03-04T08:00:00Z",
        "hp10": "x",
    }
    assert [row.line for row in rejected] == [2, 3, 4, 5]
    assert not any("Ana" in row.raw + row.reason for row in rejected)


# --- files ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "iso-8859-1", "utf-16"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_encodings_and_line_ends(tmp_path: Path, encoding: str, line_end: str) -> None:
    columns = {"dosimeter_serial": "Dosímetro", "started_at": "at", "hp10": "Hp10 (µSv)"}
    text = f"Exportación\nDosímetro;at;Hp10 (µSv)\n{GOOD}{GOOD}".replace("\n", line_end)
    batch = read(tmp_path, text, source(columns=columns, encoding=encoding, skip_rows=1))
    assert [row.line for row in batch.rows] == [3, 4]


def test_cyrillic(tmp_path: Path) -> None:
    columns = {"dosimeter_serial": "Сер. номер", "started_at": "Время", "hp10": "Доза мкЗв"}
    text = f"Сер. номер;Время;Доза мкЗв\n{GOOD}"
    assert len(read(tmp_path, text, source(columns=columns, encoding="cp1251")).rows) == 1


def test_names_that_look_the_same_are_the_same(tmp_path: Path) -> None:
    columns = {"dosimeter_serial": "Batería", "started_at": "at", "hp10": "Hp10 (\u03bcSv)"}
    text = f"Bateri\u0301a;at; Hp10 (\u00b5Sv)\n{GOOD}"
    assert len(read(tmp_path, text, source(columns=columns)).rows) == 1


@pytest.mark.parametrize("piece", [1, 20, 1 << 18])
def test_only_trailing_lines_are_the_footer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece: int) -> None:
    monkeypatch.setattr("ingest.dosimeters.lines.PIECE_CHARS", piece)
    text = f"{HEAD}{GOOD}Total;1;\n{GOOD}\nTotal;2;\nSumme;2"
    batch = read(tmp_path, text, source(footer_pattern="^(Total|Summe)"))
    assert [row.line for row in batch.rows] == [2, 4]
    assert [row.line for row in batch.rejected] == [3]


@pytest.mark.parametrize("piece", [1, 20, 1 << 18])
@pytest.mark.parametrize(
    ("text", "changes", "lines"),
    [
        (
            f"{HEAD}{GOOD}{GOOD}\n{GOOD}Total;2;\n",
            {"footer_pattern": "^(1001|Total)"},
            "3 lines",
        ),
        (f"{HEAD}{GOOD}Total;1;\n{GOOD.strip()}", {"footer_pattern": "^(1001|Total)"}, "2 lines"),
        (f"{HEAD}{GOOD}{HEAD}{GOOD}", {"skip_rows": 2}, "1 line"),
        (f"{HEAD}{GOOD * 9}", {"footer_pattern": ""}, "9 lines"),
        (f"{HEAD}{GOOD}Total;2;\nSigned;2024-03-04;by X\n", {"footer_pattern": "^(Total|Signed)"}, None),
        (f"Export of;2024-03-04;X\n{HEAD}{GOOD}", {"skip_rows": 1}, None),
    ],
)
def test_records_that_are_taken_for_head_or_footer_are_counted_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece: int, text: str, changes: dict[str, Any], lines: str | None
) -> None:
    monkeypatch.setattr("ingest.dosimeters.lines.PIECE_CHARS", piece)
    findings = read(tmp_path, text, source(**changes)).findings
    assert [finding.code for finding in findings] == (["left_out_rows"] if lines else [])
    if lines:
        assert findings[0].message.startswith(f"skip_rows or footer_pattern leave out {lines.strip()} that can be read")
        assert "1001" not in findings[0].message


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("badge;at;dose;Temp\n" + GOOD, "unknown column 'Temp'"),
        ("badge;at;Dose\n" + GOOD, "missing column 'dose'; unknown column 'Dose'"),
        ("badge;at;dose;dose\n" + GOOD, "repeated column 'dose'"),
        ("badge;at;dose;\n" + GOOD, "unknown column ''"),
        ("", "no header line"),
        (b"\xef\xbb\xbf" + HEAD.encode(), "mark of utf-8-sig"),
        (HEAD.encode("utf-16"), "mark of utf-16"),
        (b"badge;at;\xff\n", "not utf-8"),
        ('badge;"at;dose\n', "not readable as CSV"),
        (b"\x00" * 3_000_000, "not readable as CSV"),
        (b"noise " * 1000 + b"\n" * 1_000_000, "missing column 'badge', 'at', 'dose'"),
    ],
)
def test_a_header_that_does_not_fit_quarantines_the_file(tmp_path: Path, content: str | bytes, said: str) -> None:
    assert said in refusal(tmp_path, content)


def test_utf_16_without_mark_is_not_guessed(tmp_path: Path) -> None:
    assert "no byte order mark" in refusal(tmp_path, HEAD.encode("utf-16-le"), encoding="utf-16")


def test_a_row_taken_for_the_header_names_nobody(tmp_path: Path) -> None:
    assert "Ana" not in refusal(tmp_path, "Núñez, Ana;1001;2.5\n", ignored_columns=["name"])


def test_a_header_without_rows_is_an_empty_export(tmp_path: Path) -> None:
    assert read(tmp_path, HEAD.rstrip(), source()).rows == []


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """90,000 rows, which together would take more, and one line of 10 MB."""
    path = tmp_path / "large.csv"
    with path.open("w") as file:
        file.write(HEAD)
        file.write("1" * 10_000_000 + "\n")
        file.writelines([GOOD * 1000] * 90)
    tracemalloc.start()
    try:
        rows = sum(len(batch.rows) for batch in read_export(path, source()))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert rows == 90_000
    assert peak < 15_000_000


# --- properties ----------------------------------------------------------------------------------------------------

ROW = st.one_of(
    st.builds(
        lambda minute, dose: (f"1001;2024-03-04T08:{minute:02}:00Z;{dose}", True),
        st.integers(0, 59),
        st.decimals(0, 1000, places=3),
    ),
    st.sampled_from([('1001;"2024-03-04T08:00:00Z;1', False), ("1001;x;1", False), ("1;2", False), ('a"b;c"', False)]),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(lines=st.lists(ROW, max_size=60), piece=st.sampled_from([1, 7, 64, 1 << 18]))
def test_every_line_is_either_read_or_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: list[tuple[str, bool]], piece: int
) -> None:
    """Whatever stands around a line and wherever the pieces end, it comes to the same end, with its own number."""
    monkeypatch.setattr("ingest.dosimeters.lines.PIECE_CHARS", piece)
    batch = read(tmp_path, HEAD + "".join(f"{text}\n" for text, _is_good in lines), source(footer_pattern="^Total"))
    good = [number for number, (_text, is_good) in enumerate(lines, 2) if is_good]
    assert sorted(row.line for row in batch.rows) == good
    assert sorted(good + [row.line for row in batch.rejected]) == list(range(2, len(lines) + 2))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(noise=st.binary(max_size=300), encoding=st.sampled_from(["utf-8", "cp1252", "utf-16", "cp1251"]))
def test_noise_after_a_good_header_never_crashes(tmp_path: Path, noise: bytes, encoding: str) -> None:
    read(tmp_path, HEAD.encode(encoding) + noise, source(encoding=encoding))
