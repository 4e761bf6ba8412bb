"""Findings about records, badges and rooms of a site where everything is odd, against their recomputation."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import duckdb
import pytest
from support import recomputed_quality as recomputed
from support import sr_builder as sr
from support.recomputed_patients import rows
from support.small_site import RATES, SOURCE, make_site, run, write

from ingest.site.config import load_site
from orchestration.dbt_build import build_tables

AS_OF = date(2024, 3, 31)

ROOMS = """\
room_id,name,specialty,station_name,device_serial,c_arm_dosimeter
CATH1,Lab 1,cardiology,ST1,S1,
CATH2,Lab 2,cardiology,TWIN,S2,
CATH3,Lab 3,cardiology,twin,S3,
"""
OPERATORS = """\
operator_id,name,grade,works_to,rp_training_valid_until
OP1,Ana,consultant,,2024-03-01
OP2,Zoë,nurse,2024-02-01,2024-03-01
OP3,Bo,trainee,,2024-03-31
OP4,Cy,trainee,,2024-03-30
"""
LOGBOOK = """\
study_instance_uid,accession_number,operator_id,role
1.2.3.4,,OP1,first_operator
,,OP1,nurse
1.2,,NOBODY,nurse
"""
TWINS = {"DeviceSerialNumber": None, "StationName": " Twin "}
# B1 gets 2 µSv in the beam and 1 without one; B2 is where no hub is known; REF1 has all of its dose in the beam.
EXPORT = """\
Badge;Time;Rate;Hub
B1;2024-03-04T08:09:10;7200;BASE
B1;2024-03-04T18:00:00;3600;BASE
B2;2024-03-04T08:09:10;3600;ELSEWHERE
B2;2024-03-05T08:09:10;3600;ELSEWHERE
REF1;2024-03-04T08:09:11;36000;BASE
"""

# Rows of an export, and how many of them are rejected: half of these state 1 µSv, the others nothing that can be read.
REJECTED = {"ten": (12, 10), "eleven": (12, 11), "twelve_in_240": (240, 12), "thirteen_in_240": (240, 13)}
# 4 to 7 January, as a spreadsheet of another country reads these dates.
SWAPPED = "".join(f"B1;2024-{month:02}-01T08:00:00;0;BASE\n" for month in range(4, 8))


def partly_rejected(n_rows: int, n_rejected: int) -> str:
    lines = [f"B1;2024-02-{n // 60 + 1:02}T08:00:{n % 60:02};0;BASE" for n in range(n_rows)]
    for n in range(n_rejected):
        lines[n] = "B1;no time;3600;BASE" if n % 2 else lines[n].replace(";0;", ";high;")
    return "\n".join(["Badge;Time;Rate;Hub", *lines, f"B9;no time;;{n_rows}", ""])


@pytest.fixture(scope="module")
def con(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    root = make_site(
        tmp_path_factory.mktemp("odd"),
        rooms=ROOMS,
        operators=OPERATORS,
        logbook=LOGBOOK,
        source=SOURCE,
    )
    write(root, f"{RATES}/all.csv", EXPORT)
    for name, rejected in REJECTED.items():
        write(root, f"{RATES}/{name}.csv", partly_rejected(*rejected))
    write(root, f"{RATES}/swapped.csv", "Badge;Time;Rate;Hub\n" + SWAPPED)
    write(root, "inbox/dose_reports/known.dcm", sr.as_file(sr.ordinary_report()))
    for number in (1, 2):
        uids = {"SOPInstanceUID": f"1.2.{number}", "StudyInstanceUID": f"1.2.{number}.9"}
        event = sr.event(sr.num("122130", "1e-05", "Gy.m2"), event_uid=f"1.2.{number}.8")
        write(root, f"inbox/dose_reports/twin{number}.dcm", sr.as_file(sr.report(event, **uids, **TWINS)))
    run(root)
    build_db = load_site(root).build_db
    build = build_tables(build_db, AS_OF)
    assert build.failures == []
    with duckdb.connect(str(build_db), read_only=True) as con:
        con.execute("set TimeZone = 'UTC'")
        yield con


def found(con: duckdb.DuckDBPyConnection, quantity: str, columns: str) -> set[tuple[object, ...]]:
    query = f"select {columns} from alerts.alert where rule = 'data_quality' and quantity = ?"
    return set(con.execute(query, [quantity]).fetchall())


def test_training_expired_for_those_who_were_still_there(con: duckdb.DuckDBPyConnection) -> None:
    expected = recomputed.expired_training(rows(con, "from raw.ref_operators"), AS_OF)
    assert {operator for operator, _, _ in expected} == {"OP1", "OP4"}
    assert found(con, "training_expired", "operator_id, occurred_on, value") == expected


def test_refused_rows_are_one_finding_a_file_and_kind(con: duckdb.DuckDBPyConnection) -> None:
    expected = recomputed.refused_rows(rows(con, "from raw.finding"))
    assert "reference/logbook.csv" in {path for path, _ in expected}
    counts = con.execute(
        "select value from alerts.alert where quantity = 'refused_input' and subject_type = 'site'"
    ).fetchall()
    assert sorted(int(value) for (value,) in counts) == sorted(expected.values())


def test_exports_with_many_rejected_rows_and_their_dose(con: duckdb.DuckDBPyConnection) -> None:
    assert found(con, "rejected_rows", "step, value, threshold, message") == {
        (
            f"rejected_rows/{RATES}/eleven.csv",
            *(11.0, 10.0),
            f"11 of 12 rows of {RATES}/eleven.csv were rejected, with 5 µSv that can be read; "
            "most often 6 lines: hp10 is not a number (first: line 2).",
        ),
        (
            f"rejected_rows/{RATES}/thirteen_in_240.csv",
            *(13.0, 10.0),
            f"13 of 240 rows of {RATES}/thirteen_in_240.csv were rejected, with 6 µSv that can be read; "
            "most often 7 lines: hp10 is not a number (first: line 2).",
        ),
    }


def test_exports_with_swapped_dates(con: duckdb.DuckDBPyConnection) -> None:
    ((step, value, message),) = found(con, "swapped_dates", "step, value, message")
    assert (step, value) == (f"swapped_dates/{RATES}/swapped.csv", 4.0)
    assert "from 2024-01-04 to 2024-01-07 with day and month swapped" in str(message)
    assert con.execute("select path, field from ledger.oddity where code = 'swapped_dates'").fetchall() == [
        (f"{RATES}/swapped.csv", "started_at")
    ]


def test_rooms_that_share_an_identifier(con: duckdb.DuckDBPyConnection) -> None:
    expected = recomputed.ambiguous_rooms(rows(con, "from raw.dose_report"), rows(con, "from raw.ref_rooms"))
    assert expected == {("station_name", "CATH2, CATH3"): 2}
    ((value, message),) = found(con, "ambiguous_room", "value, message")
    assert value == 2
    assert "CATH2, CATH3 share one station_name" in str(message)


def test_hubs_without_a_room(con: duckdb.DuckDBPyConnection) -> None:
    expected = recomputed.unknown_hubs(rows(con, "from raw.dose_record"), rows(con, "from raw.source_hub"))
    assert expected == {("rates", "ELSEWHERE")}
    ((value, message),) = found(con, "unknown_hub", "value, message")
    assert value == 2
    assert "ELSEWHERE" in str(message)


def test_dose_of_a_room_and_month_that_belongs_to_no_procedure(con: duckdb.DuckDBPyConnection) -> None:
    room_of = dict(con.execute("select procedure_id, room_id from marts.fct_procedure").fetchall())
    expected = recomputed.unlinked_shares(
        rows(con, "from intermediate.int_disposition"),
        rows(con, "from raw.dose_record"),
        rows(con, "from raw.source_hub"),
        room_of,
    )
    # One of three µSv in CATH1; the two of no known room against the five of the staff's badges.
    assert {(room, share) for room, _, _, share in expected} == {("CATH1", 33.3), (None, 40.0)}
    assert found(con, "unlinked", "room_id, occurred_on, round(value, 1)") == {
        (room, month, share) for room, month, _, share in expected
    }
