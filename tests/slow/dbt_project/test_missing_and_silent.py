"""What does not arrive is reported: studies without a dose report, silent sources, rooms and badges, unknown devices.

A small site is built as of several dates; the dates at which a silence begins to be reported are computed by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest
from support import sr_builder as sr
from support.small_site import DOSIMETERS, RATES, SOURCE, export, looking, make_site, run, write

from ingest.site.config import load_site
from orchestration.dbt_build import build_tables

LOGBOOK = """\
study_instance_uid,accession_number,operator_id,role,procedure_date,room_id,procedure_name
1.2.3.4,,OP1,first_operator,2024-03-04,CATH1,Angio
1.2.3.4,,OP2,nurse,2024-03-04,CATH1,Angio
1.2.9,A8,OP1,first_operator,2024-03-05,CATH1,Angio
,A8,OP2,nurse,2024-03-05,CATH1,Angio
,A9,OP1,first_operator,2024-03-06,CATH1,Angio
1.2.10,,OP1,first_operator,2024-03-19,CATH1,Angio
1.2.11,,OP1,first_operator,2062-03-04,CATH1,Angio
1.2.12,,OP1,first_operator,,,undated
1.2.13,A13,OP1,first_operator,2024-03-04,CATH1,its report is dated 10 April
1.2.13,A13,OP2,nurse,2024-03-04,CATH1,its report is dated 10 April
"""
VENDOR = """\
source_id: vendor
layout: procedure_totals
encoding: utf-8
delimiter: ";"
decimal: "."
timezone: Europe/Madrid
dst: true
datetime_format: iso8601
columns: {dosimeter_serial: Badge, accession_number: Study, started_at: Time, hp10: Dose}
units: {hp10: uSv}
"""
PASSIVE = """\
layout: badge_periods
encoding: utf-8
delimiter: ";"
decimal: "."
timezone: Europe/Madrid
dst: true
datetime_format: "%Y-%m-%d"
columns: {dosimeter_serial: Badge, period_begin: From, period_end: To, hp10: Dose}
units: {hp10: uSv}
"""
NEVER = {
    "never": SOURCE.replace("source_id: rates\n", ""),
    "never_announced": SOURCE.replace("source_id: rates\n", "") + "quiet_until: 2024-04-20\n",
    "never_passive": PASSIVE,
}
# Last records: 5 March, of B1 a vendor's total on the 7th. The room's procedures: 4 March and 10 April.
DAYS = [(f"B{badge}", day) for badge in (1, 2) for day in (4, 5)]
Build = Callable[..., Callable[[str], list[tuple[Any, ...]]]]


def site_of(root: Path, **files: str) -> Path:
    for source_id in files.keys() & NEVER.keys():
        write(root, f"sources/{source_id}.yaml", f"source_id: {source_id}\n{files.pop(source_id)}")
    make_site(root, **{"logbook": LOGBOOK, "rooms": "room_id,device_serial,quiet_until\nCATH1,S1,\n"} | files)
    write(root, "sources/vendor.yaml", VENDOR)
    write(
        root,
        "inbox/dosimeters/vendor/1.csv",
        "Badge;Study;Time;Dose\nB1;A9;2024-03-06T10:00:00;3\nB1;A7;2024-03-07T10:00:00;1\n",
    )
    for badge, day in DAYS:
        write(root, f"{RATES}/{badge}_{day}.csv", export(1, badge=badge, day=day))
    write(root, "inbox/dose_reports/known.dcm", sr.as_file(sr.ordinary_report()))
    study = {
        "SOPInstanceUID": "1.2.13.1",
        "StudyInstanceUID": "1.2.13",
        "AccessionNumber": "A13",
        "ContentDate": "20240410",
    }
    event = sr.event(sr.num("122130", "1e-05", "Gy.m2"), event_uid="1.2.13.2", started="20240410080910")
    write(root, "inbox/dose_reports/accession.dcm", sr.as_file(sr.report(event, **study)))
    stranger = {"SOPInstanceUID": "1.2.14.1", "StudyInstanceUID": "1.2.14", "DeviceSerialNumber": "S11"}
    event = sr.event(sr.num("122130", "1e-05", "Gy.m2"), event_uid="1.2.14.2")
    write(root, "inbox/dose_reports/stranger.dcm", sr.as_file(sr.report(event, StationName="LAB", **stranger)))
    run(root)
    with looking(root) as con:  # as a pull leaves it
        con.execute(
            "insert into raw.pacs_study values"
            " (1, 'pacs', '1.2.9', 'A8', '2024-03-05', ['XA', 'SR'], '2024-03-06'),"
            " (2, 'pacs', '1.2.20', 'A20', '2024-03-08', ['XA'], '2024-03-09'),"
            " (3, 'pacs', '1.2.21', null, '2024-05-02', ['RF'], '2024-05-03')"
        )
        con.execute(
            "insert into raw.unanswered_object values"
            " ('pacs', '2024-03-08', '1.2.20', '1.2.20.1', null, 'A20', 7, true, '2024-03-09', '2024-03-15', 'no'),"
            " ('pacs', '2024-03-09', '1.2.22', '1.2.22.1', null, null, 6, false, '2024-03-09', '2024-03-15', 'no')"
        )
    return root


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Builds the site as of a date; gives a function that asks the build."""
    roots: dict[str, Path] = {}

    def of(as_of: date, **files: str) -> Callable[[str], list[tuple[Any, ...]]]:
        if repr(files) not in roots:
            roots[repr(files)] = site_of(tmp_path_factory.mktemp("feeds"), **files)
        build_db = load_site(roots[repr(files)]).build_db
        build = build_tables(build_db, as_of)
        assert build.failures == []

        def ask(query: str) -> list[tuple[Any, ...]]:
            with closing(duckdb.connect(str(build_db), read_only=True)) as con:
                return con.execute(query).fetchall()

        return ask

    return of


SILENT = "select detail, occurred_on, value from alerts.alert where quantity = 'feed_silent' order by detail"


def test_a_study_that_is_named_has_a_report_or_a_reason(build: Build) -> None:
    ask = build(date(2024, 3, 19))
    found = ask(
        "select study_instance_uid, accession_number, known_from, expected_date, has_report, reason"
        " from ledger.expected_study order by expected_date, study_instance_uid, accession_number"
    )
    assert found == [
        ("1.2.13", "A13", "logbook", date(2024, 3, 4), False, "report_not_counted"),
        ("1.2.3.4", None, "logbook", date(2024, 3, 4), True, None),
        ("1.2.9", "A8", "logbook pacs", date(2024, 3, 5), False, "missing"),
        (None, "A9", "logbook vendor_total", date(2024, 3, 6), False, "missing"),
        (None, "A7", "vendor_total", date(2024, 3, 7), False, "missing"),
        ("1.2.20", "A20", "pacs", date(2024, 3, 8), False, "not_retrieved"),
        ("1.2.10", None, "logbook", date(2024, 3, 19), False, "awaited"),
    ]
    ((value, message),) = ask("select value, message from alerts.alert where quantity = 'missing_report'")
    assert value == 5
    assert message == "Of 5 studies of 2024-03 no dose report counts: A13, A8, A9, A7, A20."
    # Fourteen days after the 5th nothing is silent yet; the room's last procedure is of the 4th.
    assert ask(SILENT) == [("room/CATH1", date(2024, 3, 19), 15.0)]


def test_devices_that_no_room_fits_are_listed_with_their_identifiers(build: Build) -> None:
    ask = build(date(2024, 3, 19))
    assert ask("from ledger.unmatched_device") == [("S11", "LAB", None, None, 1, 1, date(2024, 3, 4), date(2024, 3, 4))]
    ((value, message),) = ask("select value, message from alerts.alert where quantity = 'unknown_room'")
    assert value == 1
    assert "reports of 1 procedures fit no room of rooms.csv: device_serial S11, station_name LAB" in message


def test_a_feed_is_silent_after_its_own_patience(build: Build) -> None:
    ask = build(date(2024, 4, 20))
    assert ask(SILENT) == [
        ("badge/B2", date(2024, 4, 20), 46.0),  # of B1 the vendor's total is 44 days old
        ("source/rates", date(2024, 3, 20), 46.0),
        ("source/vendor", date(2024, 3, 22), 44.0),
    ]
    assert ask("select has_report, reason from ledger.expected_study where accession_number = 'A13'") == [(True, None)]


@pytest.mark.parametrize(
    ("as_of", "silent"),
    [
        (date(2024, 3, 18), set()),  # the site's first day is the 4th
        (date(2024, 3, 19), {"never"}),
        (date(2024, 7, 17), {"never", "never_announced"}),
        (date(2024, 7, 18), {"never", "never_announced", "never_passive"}),  # three times the patience for a badge
    ],
)
def test_a_described_source_that_never_delivered_is_silent(build: Build, as_of: date, silent: set[str]) -> None:
    ask = build(as_of, **NEVER)
    days = float((as_of - date(2024, 3, 4)).days)
    message = "No record of source {} was ever read; the first of another source or room is of 2024-03-04."
    assert set(ask("select detail, message, value from alerts.alert where detail like 'source/never%'")) == {
        (f"source/{name}", message.format(name), days) for name in silent
    }


@pytest.mark.parametrize(
    ("as_of", "silent"),
    [
        (date(2024, 3, 20), set()),
        (date(2024, 3, 21), {"room/CATH1", "source/rates"}),
        (date(2024, 4, 26), {"source/rates", "source/vendor"}),
        (date(2024, 4, 27), {"source/rates", "source/vendor", "badge/B1", "badge/B2"}),
    ],
)
def test_a_silence_that_was_announced_is_reported_after_its_end(build: Build, as_of: date, silent: set[str]) -> None:
    ask = build(
        as_of,
        rooms="room_id,device_serial,quiet_until\nCATH1,S1,2024-03-20\n",
        source=SOURCE + "quiet_until: 2024-03-20\n",
        dosimeters=DOSIMETERS.replace("valid_to\n", "valid_to,quiet_until\n").replace(",\n", ",,2024-04-26\n"),
    )
    assert {detail for detail, _, _ in ask(SILENT)} == silent
