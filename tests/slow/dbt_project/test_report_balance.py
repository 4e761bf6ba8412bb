"""Every irradiation event that a report states has one place, from its bytes on; UIDs and patients that are told apart.

The files are built (sr_builder); what is right for each stands beside it, reckoned by hand from contract version 2.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any, NamedTuple

import duckdb
import pytest
from pydicom.dataset import Dataset
from support import sr_builder as sr
from support.small_site import KEY, make_site, write

from orchestration.nightly import run_nightly
from orchestration.resources import silent

SITE = """\
site_id: balance
name: Balance
timezone: Europe/Madrid
gate: {max_quarantined_files_share: 0.9}
mail: {medical_physics: [mpe@hospital.example]}
"""
AS_OF = date(2024, 12, 31)


def event(uid: str, kap: str = "1", at: str = "20240304080910", ka_r: str = "10") -> Dataset:
    dose = (sr.num("122130", kap, "Gy.cm2"), sr.num("113738", ka_r, "mGy"), sr.num("113742", "4", "s"))
    return sr.event(*dose, event_uid=uid, started=at)


def report(study: str, sop: str, *events: Dataset, kap: str = "1", ka_r: str = "10", **attributes: Any) -> bytes:
    own = {"StudyInstanceUID": f"1.{study}", "SOPInstanceUID": f"1.9.{sop}", "DeviceSerialNumber": "4711"}
    totals = sr.accumulated(sr.num("113722", kap, "Gy.cm2"), sr.num("113725", ka_r, "mGy"))
    return sr.as_file(sr.report(totals, *events, **own | attributes))


def bare(data: bytes) -> bytes:
    """The data set without preamble and header."""
    return data[144 + int.from_bytes(data[140:144], "little") :]


A, B, C = event("1.8.1"), event("1.8.2"), event("1.8.3")
BARE = bare(report("50", "50", event("1.8.50")))
UNREAD = sr.content("CONTAINER", sr.code("113706", "99MINE"))


class Right(NamedTuple):
    """A file, and what its row of ``ledger.report_balance`` must say."""

    data: bytes
    status: str
    stated: int | None = None
    counted: int = 0
    elsewhere: int = 0
    superseded: int = 0
    after_as_of: int = 0
    rejected: int = 0
    is_total_used: bool = False
    counted_in: str | None = None


FILES = {
    # One object in two versions: an event that only the old one has is superseded.
    "version_1": Right(
        report("1", "1", A, B, C, kap="3", ContentTime="080000"),
        "superseded", 3, elsewhere=2, superseded=1, counted_in="version_2",
    ),
    "version_2": Right(report("1", "1", A, B, kap="2", ContentTime="090000"), "loaded", 2, 2, is_total_used=True),
    # A cumulative report replaces the one before.
    "part": Right(
        report("2", "2", event("1.8.21"), ContentTime="080000"), "superseded", 1, elsewhere=1, counted_in="whole"
    ),
    "whole": Right(
        report("2", "3", event("1.8.21"), event("1.8.22"), kap="2", ContentTime="090000"),
        "loaded", 2, 2, is_total_used=True,
    ),
    # The same event, sent once more by another study of the same patient and device within ten minutes.
    "copied": Right(
        report("3", "4", event("1.8.21", at="20240304081500"), ContentTime="070000"),
        "duplicate", 1, elsewhere=1, counted_in="whole",
    ),
    "bare": Right(BARE, "loaded", 1, 1, is_total_used=True),
    "bare_again": Right(BARE, "duplicate", 1, elsewhere=1, counted_in="bare"),
    "cut": Right(report("51", "51", event("1.8.51"))[:-40], "quarantined"),
    "unread": Right(report("52", "52", event("1.8.52"), UNREAD), "loaded", 2, 1, rejected=1, is_total_used=True),
    "future": Right(
        report("53", "53", event("1.8.53", at="20620304080910"), DeviceSerialNumber="F1"), "loaded", 1, after_as_of=1
    ),
    "tomorrow": Right(report("54", "54", event("1.8.54", at="20250101080910")), "loaded", 1, after_as_of=1),
    "past": Right(report("55", "55", event("1.8.55", at="19990304080910")), "loaded", 1, 1, is_total_used=True),
    "comma": Right(report("56", "56", event("1.8.56", kap="1,5"), kap="1,5", AccessionNumber="A56"), "loaded", 1, 1),
    # One SOP Instance UID for two patients; event UIDs that begin anew in each study.
    "object_1": Right(report("61", "60", event("1.8.61"), PatientID="P1"), "loaded", 1, 1, is_total_used=True),
    "object_2": Right(report("62", "60", event("1.8.62"), PatientID="P2"), "loaded", 1, 1, is_total_used=True),
    "anew_1": Right(
        report("63", "63", event("1.8.9", "2"), kap="2", PatientID="P3"), "loaded", 1, 1, is_total_used=True
    ),
    "anew_2": Right(
        report("64", "64", event("1.8.9", "4"), kap="4", PatientID="P4"), "loaded", 1, 1, is_total_used=True
    ),
    "anew_3": Right(
        report("65", "65", event("1.8.9", "8", at="20240304082000"), kap="8", PatientID="P4"),
        "loaded", 1, 1, is_total_used=True,
    ),
    # 3.2 + 3.2 Gy in 14 days, once with and once without issuer.
    "issued": Right(
        report("71", "71", event("1.8.71", at="20240401080000", ka_r="3200"), ka_r="3200", PatientID="7001",
               IssuerOfPatientID="HCX"),
        "loaded", 1, 1, is_total_used=True,
    ),
    "unissued": Right(
        report("72", "72", event("1.8.72", at="20240414080000", ka_r="3200"), ka_r="3200", PatientID="7001"),
        "loaded", 1, 1, is_total_used=True,
    ),
    "zeros": Right(
        report("73", "73", event("1.8.73", at="20240415080000"), PatientID="007001"), "loaded", 1, 1, is_total_used=True
    ),
}  # fmt: skip
NO_REPORTS = {
    "text": b"not a report",
    "image": sr.as_file(sr.ordinary_report(SOPClassUID="1.2.840.10008.5.1.4.1.1.12.1")),
}


class Night(NamedTuple):
    """A publication and the letter to the physicist."""

    con: duckdb.DuckDBPyConnection
    letter: str


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    site = make_site(tmp_path_factory.mktemp("balance") / "site", site=SITE)
    for name, data in ({name: file.data for name, file in FILES.items()} | NO_REPORTS).items():
        write(site, f"inbox/dose_reports/{name}", data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOSELEDGER_KEY", KEY["DOSELEDGER_KEY"])
        result = run_nightly(site, AS_OF, silent)
    assert result.folder, result.reasons
    [letter] = (site / "data/outbox").glob("*medical_physics*.eml")
    text = message_from_bytes(letter.read_bytes(), policy=SMTP).get_body(("plain",))
    assert isinstance(text, EmailMessage)
    with duckdb.connect(str(result.folder / "warehouse.duckdb"), read_only=True) as con:
        yield Night(con, text.get_content())


def test_every_report_has_its_row(night: Night) -> None:
    columns = (
        "parse_filename(path), status, events_stated, events_counted, events_counted_elsewhere, events_superseded,"
        " events_after_as_of, events_rejected, is_total_used, parse_filename(counted_in_path), imbalance_events"
    )
    found = {name: row for name, *row in night.con.execute(f"select {columns} from ledger.report_balance").fetchall()}
    quarantined = [name for name, row in found.items() if row[0] == "quarantined"]
    assert [found.pop(name) for name in quarantined] == [[*FILES["cut"][1:], 0]], "its path is hidden"
    assert found == {name: [*right[1:], 0] for name, right in FILES.items() if name != "cut"}


def test_what_is_counted_is_what_is_published(night: Night) -> None:
    counted = "select sum(events_counted) from ledger.report_balance"
    published = "select count(*) from marts.fct_irradiation_event"
    assert night.con.execute(counted).fetchall() == night.con.execute(published).fetchall()


def test_a_reason_stands_where_events_do_not_count(night: Night) -> None:
    rows = night.con.execute(
        "select parse_filename(path), reason from ledger.report_balance"
        " where events_stated is null or events_counted < events_stated"
    ).fetchall()
    assert len(rows) == 8
    assert all(reason for _, reason in rows), rows
    reasons = dict(rows)
    assert "2062-03-04" in reasons["future"]
    assert "not where or as the standard has them" in reasons["unread"]


def test_reused_uids_are_told_apart_and_named_with_both_paths(night: Night) -> None:
    kap = (
        "select study_instance_uid, round(kap_gy_cm2, 6) from marts.fct_procedure where study_instance_uid like '1.6%'"
    )
    assert dict(night.con.execute(kap).fetchall()) == {"1.61": 1, "1.62": 1, "1.63": 2, "1.64": 4, "1.65": 8}
    rows = night.con.execute(
        "select parse_filename(path), message from ledger.oddity where code = 'reused_uid'"
    ).fetchall()
    assert {name for name, _ in rows} == {"object_1", "object_2", "anew_1", "anew_2", "anew_3"}
    for name, message in rows:
        kind = name.split("_")[0]
        assert message.count(f"inbox/dose_reports/{kind}_") == 2, message
        assert f"inbox/dose_reports/{name}" in message
    uids = "select irradiation_event_uid from marts.fct_irradiation_event where irradiation_event_uid in ('1.8.9')"
    assert night.con.execute(uids).fetchall() == [("1.8.9",)], "the first event keeps the UID"


def test_a_clock_of_another_year_is_named_with_its_number(night: Night) -> None:
    alerts = night.con.execute("select value, message from alerts.alert where quantity = 'future_records'").fetchall()
    assert [value for value, _ in alerts] == [1], "one day later than as_of is no clock of another year"
    assert "F1" in alerts[0][1]
    assert "2062-03-04" in alerts[0][1]
    oddities = "select parse_filename(path) from ledger.oddity where code = 'future_date'"
    assert night.con.execute(oddities).fetchall() == [("future",)]
    procedures = "select study_instance_uid from marts.fct_procedure where year(procedure_date) != 2024"
    assert night.con.execute(procedures).fetchall() == [("1.55",)]


def test_a_patient_with_and_without_issuer_is_one(night: Night) -> None:
    found = night.con.execute(
        "select subject_type, value, n_reference from alerts.alert where rule = 'patient_dose' and quantity = 'ka_r'"
        " and subject_type = 'patient'"
    ).fetchall()
    assert found == [("patient", 6400, 2)]
    alike = "select value from alerts.alert where quantity = 'patient_ids_alike'"
    assert night.con.execute(alike).fetchall() == [(1,)]


def test_a_dose_that_cannot_be_read_is_in_the_letter(night: Night) -> None:
    rows = night.con.execute("select distinct study_instance_uid, quantity from ledger.unreadable_dose").fetchall()
    assert rows == [("1.56", "kap")]
    assert "dose not readable" in night.letter.lower()
    assert "A56" in night.letter
    assert "113722 DCM has a value that is no number" in night.letter
