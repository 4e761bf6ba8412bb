"""Reference CSVs: a legal row is typed, an illegal one is refused by file, line and field, and the others stay."""

from __future__ import annotations

import csv
import io
import itertools
import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import paths
from support.small_site import DOSIMETERS, OPERATORS, ROOMS, make_site, rows, run

from ingest.problems import SiteError
from ingest.site.config import load_site
from ingest.site.reference import TABLES, TABLES_BY_NAME, reference_ddl
from ingest.site.reference_reader import badge_overlaps, check_together, read_table

MADRID = ZoneInfo("Europe/Madrid")


def read(name: str, text: str | bytes) -> Any:
    return read_table(TABLES_BY_NAME[name], text.encode() if isinstance(text, str) else text, MADRID)


def problems_with(**tables: str) -> list[str]:
    """Problems of the small site with these tables instead of its own."""
    texts = {"rooms": ROOMS, "operators": OPERATORS, "dosimeters": DOSIMETERS} | tables
    checked = check_together({name: read(name, text) for name, text in texts.items()}, {"rates", "log", "reader"})
    return [str(problem) for table in checked.values() for problem in table.problems]


def only_problem_with(**tables: str) -> str:
    (problem,) = problems_with(**tables)
    return problem


def test_cells_become_typed_values_and_unknown_columns_are_kept() -> None:
    (row,) = read(
        "operators",
        "operator_id,ward,works_from,wears_lead_glasses,language\n OP1 ,3B,2020-01-31,TRUE,es\n",
    ).rows
    assert row["operator_id"] == "OP1"
    assert row["works_from"] == date(2020, 1, 31)
    assert row["wears_lead_glasses"] is True
    assert row["works_to"] is None
    assert row["grade"] is None
    assert row["line"] == 2
    assert json.loads(str(row["extra"])) == {"ward": "3B"}


def test_numbers_are_exact_and_instants_have_the_sites_zone() -> None:
    (factor,) = read("kap_calibration", "room_id,plane,factor,valid_from\nR,A,1.06,2024-01-01\n").rows
    assert factor["factor"] == Decimal("1.060000000")
    text = (
        "dosimeter_serial,from,to,kind\n"
        "B,2024-03-04T06:00,2024-03-04 07:00:00,not_occupational\n"
        "B,2024-07-04T06:00Z,2024-07-04T09:00:00+02:00,not_occupational\n"
    )
    winter, summer = read("corrections", text).rows
    assert winter["from"] == datetime(2024, 3, 4, 5, tzinfo=UTC)
    assert (summer["from"], summer["to"]) == (
        datetime(2024, 7, 4, 6, tzinfo=UTC),
        datetime(2024, 7, 4, 7, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("unit", "canonical"), [("Gy.cm2", "35"), ("Gy·cm²", "35"), ("cGy.cm2", "0.35"), ("mGy.m2", "350")]
)
def test_reference_levels_carry_their_canonical_value(unit: str, canonical: str) -> None:
    (row,) = read("drl", f"procedure_type,quantity,value,unit\npci,kap,35,{unit}\n").rows
    assert row["canonical_value"] == Decimal(canonical)


LIMIT = "jurisdiction,quantity,dose_window,category,limit_msv,valid_from,citation,confirmed_by,confirmed_on"


@pytest.mark.parametrize(
    ("name", "header", "line", "sentence"),
    [
        ("rooms", "room_id,specialty", "R,heart", "field specialty: 'heart' must be one of cardiology"),
        ("rooms", "room_id,name", ",x", "field room_id: is empty"),
        ("rooms", "room_id,name", "Unknown,x", "field room_id: 'unknown' is kept"),
        ("rooms", "room_id,device_timezone", "R,Madrid", "field device_timezone: 'Madrid' is not an IANA"),
        ("operators", "operator_id,grade", "O,boss", "field grade: 'boss' must be one of consultant"),
        ("operators", "operator_id,works_from", "O,31/01/2020", "field works_from: '31/01/2020' is not an ISO date"),
        ("operators", "operator_id,works_from", "O,2023-02-29", "is not a day of the calendar"),
        ("operators", "operator_id,works_from", "O,0202-01-01", "must be between 1900-01-01"),
        ("operators", "operator_id,wears_lead_glasses", "O,yes", "must be true or false"),
        (
            "operators",
            "operator_id,works_from,works_to",
            "O,2024-02-01,2024-01-01",
            "2024-01-01 is not after works_from",
        ),
        ("operators", "operator_id,grade", "O", "has 1 cells and the header 2"),
        ("dosimeters", "dosimeter_serial,worn_at,operator_id,valid_from", "B,hat,O,2024-01-01", "'hat' must be one of"),
        ("dosimeters", "dosimeter_serial,worn_at,operator_id,valid_from", "B,eye,,2024-01-01", "name the person"),
        ("dosimeters", "dosimeter_serial,worn_at,operator_id,valid_from", "B,c_arm,,2024-01-01", "name the room"),
        ("dosimeters", "dosimeter_serial,worn_at,operator_id,valid_from", "B,eye,O,", "field valid_from: is empty"),
        ("procedure_types", "priority,field,match,pattern,procedure_type", "1,protocol,regex,(a,x", "not a regular"),
        ("procedure_types", "priority,field,match,pattern,procedure_type", "1,protocol,regex,(?=a),x", "not a regular"),
        ("procedure_types", "priority,field,match,pattern,procedure_type", "1.5,protocol,exact,a,x", "whole number"),
        ("logbook", "study_instance_uid,accession_number,operator_id", ",,OP1", "names no study"),
        ("drl", "procedure_type,quantity,value,unit", "pci,kap,35,mGy", "'mGy' is no unit of kap; use one of Gy.m2"),
        ("drl", "procedure_type,quantity,value,unit", 'pci,kap,"3,5",Gy.cm2', "write it with a point"),
        ("drl", "procedure_type,quantity,value,unit", "pci,kap,NaN,Gy.cm2", "is not a number"),
        ("kap_calibration", "room_id,plane,factor,valid_from", "R,A,0,2024-01-01", "must be more than 0"),
        ("kap_calibration", "room_id,plane,factor,valid_from", "R,A,1e10,2024-01-01", "must be below"),
        ("clock_offsets", "room_id,source_id,offset_s,valid_from", "R,s,1,2024-01-01", "give either room_id or"),
        (
            "external_dose",
            "operator_id,period_begin,period_end,quantity,dose_msv",
            "O,2024-01-01,2024-01-31,lens,-1",
            "neg",
        ),
        ("limits", LIMIT, "eu,lens,calendar_year,adult,0,2024-01-01,law,,", "must be more than 0"),
        ("limits", LIMIT, "eu,lens,year,adult,20,2024-01-01,law,,", "'year' must be one of calendar_year"),
        ("limits", LIMIT, "eu,thyroid,calendar_year,adult,20,2024-01-01,law,,", "'thyroid' must be one of effective"),
        ("limits", LIMIT, "xx,lens,calendar_year,adult,20,2024-01-01,law,,", "'xx' must be one of eu"),
        ("limits", LIMIT, "eu,lens,calendar_year,adult,20,2024-01-01,,,", "field citation: is empty"),
        ("limits", LIMIT, "eu,lens,calendar_year,adult,20,,law,,", "field valid_from: is empty"),
        ("limits", LIMIT, "eu,lens,calendar_year,adult,20,2024-01-01,law,MPE,", "field confirmed_on: is empty"),
        ("limits", LIMIT, "eu,lens,calendar_year,adult,20,2024-01-01,law,,2024-01-02", "field confirmed_by: is empty"),
        ("limits", LIMIT, "eu,lens,pregnancy,adult,1,2024-01-01,law,,", "belong together"),
        ("corrections", "dosimeter_serial,from,to,kind", "B,2024-01-01,2024-01-02,worn_by", "is not an ISO time"),
        ("corrections", "dosimeter_serial,from,to,kind", "B,2024-01-01T01:00,2024-01-01T02:00,worn_by", "who wore"),
        (
            "corrections",
            "dosimeter_serial,from,to,kind",
            "B,2024-03-31T02:30,2024-03-31T05:00,worn_by",
            "does not exist",
        ),
        (
            "corrections",
            "dosimeter_serial,from,to,kind",
            "B,2024-10-27T02:30,2024-10-27T05:00,worn_by",
            "happens twice",
        ),
        ("alert_log", "alert_id,action", "a,done", "'done' must be one of acknowledged"),
    ],
)
def test_a_bad_row_is_refused_by_line_and_the_others_stay(name: str, header: str, line: str, sentence: str) -> None:
    blank = header.count(",") * ","
    table = read(name, f"{header}\n\n{line}\n")
    assert table.rows == ()
    assert str(table.problems[0]).startswith(f"reference/{name}.csv line 3")
    assert sentence in str(table.problems[0])
    assert {problem.code for problem in table.problems} == {"refused_row"}
    assert len(read(name, f"{header}\n{line}\n{blank}\n").problems) == len(table.problems), "blank lines are no rows"


def test_all_problems_of_a_row_are_told() -> None:
    table = read("operators", "operator_id,grade,language\nO,boss,de\n")
    assert [problem.field for problem in table.problems] == ["grade", "language"]


@pytest.mark.parametrize("field", ["birth_date", "pregnancy_declared_on", "email"])
def test_a_private_value_is_never_quoted(field: str) -> None:
    (problem,) = read("operators", f"operator_id,{field}\nO,31.12.1980\n").problems
    assert problem.field == field
    assert "1980" not in str(problem)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"room_id,name\nR,caf\xe9\n", "rooms.csv line 2: is not UTF-8 text"),
        ("room_id,name\nR,x\n".encode("utf-16-le"), "holds a NUL character"),
        (b"", "the header line must be room_id,name,specialty"),
        (b"room_id;name\nR;x\n", "the header line must be room_id,name,specialty"),
        (b"room_id,name,name\n", "field name: is there twice"),
        (b"room_id,\n", "column 2 has no name"),
        (b'room_id,name\nR,x\nS,"open\nT,y\n', "rooms.csv line 3: is not readable CSV from here on"),
        (b'room_id,name\nR,"a"b\n', "rooms.csv line 2: is not readable CSV"),
    ],
)
def test_a_file_that_cannot_be_read_as_a_whole_stops_the_run(content: bytes, sentence: str) -> None:
    with pytest.raises(SiteError) as error:
        read("rooms", content)
    assert sentence in str(error.value)


def test_a_missing_required_column_is_named_with_what_it_may_be_called_now() -> None:
    with pytest.raises(SiteError) as error:
        read("dosimeters", "dosimeter_serial,wornat,operator_id,valid_from\n")
    assert "line 1, field worn_at: the column is missing (is it 'wornat'?)" in str(error.value)


def test_a_misspelt_optional_column_is_told_and_an_unknown_one_is_not() -> None:
    table = read("rooms", "room_id,devise_serial,colour\nR,4711,red\n")
    assert [str(problem) for problem in table.problems] == [
        "reference/rooms.csv line 1, field devise_serial: is not read; did you mean device_serial?"
    ]
    assert len(table.rows) == 1


def test_quotes_line_ends_and_a_byte_order_mark_are_csv_as_spreadsheets_write_it() -> None:
    table = read("rooms", b'\xef\xbb\xbfroom_id,name\r\nR1,"two\r\nlines, one cell"\r\nR2,x\r\n')
    assert [(row["room_id"], row["line"]) for row in table.rows] == [("R1", 2), ("R2", 4)]


def test_names_of_nothing_are_refused() -> None:
    assert "line 2, field operator_id: no operator_id 'OP9' is in a valid row of operators.csv" in only_problem_with(
        logbook="study_instance_uid,operator_id\n1.2,OP9\n"
    )
    assert "no room_id 'X' is in a valid row of rooms.csv" in only_problem_with(
        kap_calibration="room_id,plane,factor,valid_from\nX,A,1,2024-01-01\n"
    )
    assert "no source_id 's' is described in sources/" in only_problem_with(
        clock_offsets="room_id,source_id,offset_s,valid_from\n,s,1,2024-01-01\n"
    )


def test_a_refused_row_takes_what_refers_to_it_along() -> None:
    problems = problems_with(operators="operator_id,grade\nOP1,boss\nOP2,nurse\n")
    assert [problem.split(":")[0] for problem in problems] == [
        "reference/operators.csv line 2, field grade",
        "reference/dosimeters.csv line 2, field operator_id",
    ]


def test_a_repeated_key_refuses_the_later_row() -> None:
    assert "operators.csv line 4, field operator_id: repeats operator_id OP1 of line 2" in only_problem_with(
        operators=OPERATORS + "OP1,Eva,trainee\n"
    )


def test_two_limits_of_one_thing_for_one_day_refuse_the_later_row() -> None:
    adult = "eu,lens,calendar_year,adult"
    apart = f"{adult},20,2024-01-01,law,MPE,2024-01-02,2024-06-30\n{adult},15,2024-07-01,law,,,\n"
    other = "eu,lens,calendar_year,apprentice,15,2024-01-01,law,,,\nfr,lens,calendar_year,adult,20,2024-01-01,law,,,\n"
    assert problems_with(limits=f"{LIMIT},valid_to\n{apart}{other}") == []
    assert "line 6, field valid_from: overlaps line 2" in only_problem_with(
        limits=f"{LIMIT},valid_to\n{apart}{other}{adult},10,2024-06-30,law,,,2024-06-30\n"
    )


def test_two_factors_for_one_day_refuse_the_later_row() -> None:
    header = "room_id,plane,factor,valid_from,valid_to\n"
    apart = "CATH1,A,1,2024-01-01,2024-01-31\nCATH1,A,2,2024-02-01,\nCATH1,B,3,2024-01-15,\n"
    assert problems_with(kap_calibration=header + apart) == []
    assert "line 5, field valid_from: overlaps line 2" in only_problem_with(
        kap_calibration=header + apart + "CATH1,A,4,2024-01-31,2024-01-31\n"
    )


def test_overlapping_assignments_stay_and_are_named() -> None:
    both = DOSIMETERS + "B1,over_apron_collar,OP2,,2024-03-01,2024-03-31\n"
    problem = only_problem_with(dosimeters=both)
    assert "dosimeters.csv line 5, field valid_from: badge B1 has another assignment in line 2" in problem
    assert "from 2024-03-01 to 2024-03-31" in problem
    rows = read("dosimeters", both).rows
    assert [(overlap.dosimeter_serial, overlap.from_date, overlap.to_date) for overlap in badge_overlaps(rows)] == [
        ("B1", date(2024, 3, 1), date(2024, 3, 31))
    ]


def test_a_c_arm_badge_must_agree_with_the_assignments() -> None:
    assert "rooms.csv line 2, field c_arm_dosimeter: badge REF2 has no c_arm row for room CATH1" in only_problem_with(
        rooms=ROOMS.replace("4711,", "4711,REF2")
    )
    assert problems_with(rooms=ROOMS.replace("4711,", "4711,REF1")) == []


def test_assignments_overlap_only_within_a_source() -> None:
    header = "dosimeter_serial,worn_at,operator_id,room_id,valid_from,valid_to,source_id\n"
    first = header + "B1,over_apron_collar,OP1,,2024-01-01,,rates\n"
    assert problems_with(dosimeters=first + "B1,over_apron_collar,OP2,,2024-01-01,,log reader\n") == []
    for other in ("log rates", ""):
        assert "line 3, field valid_from: badge B1 has another assignment in line 2" in only_problem_with(
            dosimeters=first + f"B1,over_apron_collar,OP2,,2024-01-01,,{other}\n"
        )


def test_every_source_of_an_assignment_is_described() -> None:
    header = "dosimeter_serial,worn_at,operator_id,room_id,valid_from,valid_to,source_id\n"
    problem = only_problem_with(dosimeters=header + "B1,over_apron_collar,OP1,,2024-01-01,,rates nowhere\n")
    assert "line 2, field source_id: no source_id 'nowhere' is described in sources/" in problem


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("ana,OP9,", "field operator_id: no operator_id 'OP9' is in a valid row of operators.csv"),
        ("ana,,nurse", "field role: 'nurse' must be one of physics, occupational_physician, department"),
        ("ana,OP1,physics", "field operator_id: give either operator_id or role, and leave the other empty"),
        ("ana,,", "field operator_id: give either operator_id or role, and leave the other empty"),
        (",OP1,", "field login: is empty; fill it in"),
        ("Ana,OP1,", "field login: must be 1 to 64 of a-z, 0-9 and . _ @ -"),
        ("a:b,OP1,", "field login: must be 1 to 64 of a-z, 0-9 and . _ @ -"),
        ("zoe,OP1,", "field login: repeats login zoe of line 2; keep one of the two"),
    ],
)
def test_a_login_of_the_pages_has_one_reader(row: str, problem: str) -> None:
    found = only_problem_with(page_logins=f"login,operator_id,role\nzoe,OP2,\n{row}\n")
    assert found.startswith(f"reference/page_logins.csv line 3, {problem}")


def test_a_login_is_in_no_finding(tmp_path: Path) -> None:
    root = make_site(tmp_path, page_logins="login,operator_id,role\nzoe.x,OP2,\nzoe.x,OP1,\nZOE.X,OP1,\n")
    run(root)
    found = rows(root, "select line, message from raw.finding where path = 'reference/page_logins.csv' order by line")
    assert [line for line, _ in found] == [3, 4]
    assert "zoe" not in str(found).casefold()


_days = st.integers(0, 25)
_sources = st.sampled_from([None, "a", "b", "a b"])


@given(st.lists(st.tuples(st.sampled_from("XY"), _days, st.one_of(st.none(), _days), _sources), max_size=7))
def test_overlaps_are_exactly_the_days_with_two_assignments_of_a_source(
    spans: list[tuple[str, int, int | None, str | None]],
) -> None:
    start = date(2024, 1, 1)
    rows: list[Any] = [
        {
            "dosimeter_serial": badge,
            "valid_from": start + timedelta(begin),
            "valid_to": None if length is None else start + timedelta(begin + length),
            "source_id": source_ids,
            "line": line,
        }
        for line, (badge, begin, length, source_ids) in enumerate(spans)
    ]
    overlaps = badge_overlaps(rows)
    for badge, source_id in itertools.product("XY", "abc"):  # no row names c
        for day in (start + timedelta(n) for n in range(60)):
            holders = [
                row
                for row in rows
                if row["dosimeter_serial"] == badge
                and row["valid_from"] <= day <= (row["valid_to"] or date.max)
                and (row["source_id"] is None or source_id in row["source_id"].split())
            ]
            intervals = [
                overlap.source_id
                for overlap in overlaps
                if overlap.dosimeter_serial == badge
                and overlap.source_id in (source_id, None)
                and overlap.from_date <= day <= (overlap.to_date or date.max)
            ]
            assert bool(intervals) == (len(holders) > 1)
            assert len(intervals) == len(set(intervals))


@given(st.lists(st.lists(st.text(st.characters(exclude_categories=("Cs", "Cc"))), min_size=3, max_size=3)))
def test_any_text_is_read_back_or_refused_by_its_line(cells: list[list[str]]) -> None:
    text = io.StringIO()
    csv.writer(text).writerows([["room_id", "name", "note"], *cells])
    table = read("rooms", text.getvalue())
    read_lines = {row["line"] for row in table.rows} | {problem.line for problem in table.problems}
    assert read_lines == {line for line, row in enumerate(cells, start=2) if any(cell.strip() for cell in row)}
    for row in table.rows:
        assert row["room_id"] == cells[int(str(row["line"])) - 2][0].strip()


def test_the_raw_tables_have_the_columns_of_the_contract() -> None:
    with duckdb.connect() as con:
        con.execute("create schema raw")
        con.execute(reference_ddl())
        for table in TABLES:
            columns = [column for column, *_ in con.execute(f"describe raw.ref_{table.name}").fetchall()]
            assert columns == [column.raw_name for column in table.raw_columns] + ["line", "extra"]
        types = dict(con.execute("select column_name, column_type from (describe raw.ref_corrections)").fetchall())
    assert types["from_at"] == types["to_at"] == "TIMESTAMP WITH TIME ZONE"


def test_headers_are_those_of_the_contract() -> None:
    text = (paths.ROOT / "docs/contract/inputs.md").read_text("utf-8")
    beyond_the_contract = {"advice"}
    for table in (table for table in TABLES if table.name not in beyond_the_contract):
        section = text.split(f"## reference/{table.name}.csv\n")[1]
        header = section.split("`")[1].replace("[", "").replace("]", "")  # optional columns stand in brackets
        assert header.split(",") == [column.name for column in table.columns]


def test_a_site_keeps_the_good_rows_of_a_file_with_bad_ones(tmp_path: Path) -> None:
    site = load_site(make_site(tmp_path, operators=OPERATORS + "OP3,Bo,boss\n"))
    assert [row["operator_id"] for row in site.reference["operators"].rows] == ["OP1", "OP2"]
    assert [problem.line for problem in site.problems] == [4]
