"""Delivery: each finding told once to each reader, over second runs, dead servers, crashes and refusals."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import shutil
import sqlite3
import ssl
import stat
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import duckdb
import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from rich.console import Console
from support.mail_server import FreePortController, Server, read_letter
from support.small_build import columns_of
from support.small_site import KEY, make_site

from expectations.contract import TABLES
from ingest.site.config import SiteConfig
from orchestration.console.doctor import Finding, examine
from orchestration.console.status import print_status
from orchestration.console.summary import places
from orchestration.figures.digest import read_publication
from orchestration.figures.operator import LEAST_PROCEDURES_OF_A_CLASS, read_personal
from orchestration.letters.delivery import SENT, Delivery, deliver, deliver_troubles
from orchestration.letters.operations import Trouble
from orchestration.letters.post import MailServerError, relay_of
from orchestration.letters.sent_ledger import PreparedLetter, Reader, open_sent_ledger, waiting_letters

AS_OF = date(2026, 3, 2)
TODAY = date(2026, 3, 3)
SMTP_URL = "DOSELEDGER_SMTP_URL"
MPE = "mpe@hospital.example"


# ------------------------------------------------------------------------------------------------ a site and its files


def site_with(*medical_physics: str, **others: list[str]) -> SiteConfig:
    """A site whose findings go to these addresses; ``others``: restricted, operations."""
    mail = {"from": "doseledger@hospital.example", "medical_physics": list(medical_physics), **others}
    return SiteConfig.model_validate({"site_id": "hcx", "name": "Hospital Clínico", "mail": mail})


# The columns of the output contract that letters read; tables of the contract that are not here are empty.
DDL = """
    create schema marts; create schema ledger; create schema alerts;
    create table marts.fct_procedure (
        procedure_id varchar, room_id varchar, procedure_type varchar, procedure_date date, started_at timestamptz,
        study_instance_uid varchar, accession_number varchar, patient_key varchar, ka_r_mgy double, kap_gy_cm2 double,
        fluoro_time_s double, c_arm_dose_usv double, patient_age_years integer);
    create table marts.fct_operator_procedure (
        procedure_id varchar, operator_id varchar, role varchar, hp10_usv double,
        role_group varchar default 'first_operator');
    create table marts.fct_operator_month (
        operator_id varchar, month date, procedures bigint, procedures_with_badge bigint, hp10_over_apron_usv double,
        effective_dose_estimate_usv double, hp3_estimate_usv double, hp3_measured_usv double,
        effective_dose_low_usv double as (effective_dose_estimate_usv),
        effective_dose_high_usv double as (effective_dose_estimate_usv));
    create table marts.fct_operator_limit (
        operator_id varchar, quantity varchar, dose_window varchar, limit_rule varchar, window_begin date,
        window_end date, dose_msv double, limit_msv double, warning_fraction double, projected_fraction double,
        warning_dose_msv double, is_estimate boolean, covered_days bigint, covered_to_date date,
        is_begin_unknown boolean, limit_status varchar, limit_citation varchar,
        dose_high_msv double as (warning_dose_msv));
    create table marts.dim_operator (operator_id varchar, operator_name varchar, email varchar, language varchar);
    create table marts.dim_dosimeter (
        dosimeter_serial varchar, worn_at varchar, operator_id varchar, room_id varchar,
        valid_from date, valid_to date, source_id varchar);
    create table ledger.dose_balance (
        source_id varchar, dosimeter_serial varchar, measured_date date, quantity varchar,
        ingested_usv decimal(18, 9), linked_event_usv decimal(18, 9), linked_window_usv decimal(18, 9),
        linked_session_usv decimal(18, 9), linked_vendor_usv decimal(18, 9), apportioned_usv decimal(18, 9),
        unlinked_usv decimal(18, 9), covered_by_samples_usv decimal(18, 9), imbalance_usv decimal(18, 9),
        linked_manual_usv decimal(18, 9) default 0);
    create table ledger.unlinked_dose (
        source_id varchar, dosimeter_serial varchar, hp10_usv decimal(18, 9), reason varchar);
    create table ledger.file (path varchar, load_seq bigint, status varchar, reason varchar);
    create table ledger.publication (
        run_id varchar, published_at timestamptz, as_of date, checks_passed bigint, build_id varchar);
    create table alerts.alert (
        alert_id varchar, rule varchar, severity varchar, operator_id varchar, procedure_id varchar, room_id varchar,
        occurred_on date, quantity varchar, value double, threshold double, unit varchar, n_reference bigint,
        message varchar, audience varchar, state varchar, advice_code varchar, step varchar, patient_key varchar,
        detail varchar, limit_rule varchar, dose_window varchar, third_quartile double, floor double,
        decided_by varchar, usual double, role_group varchar);
    create table marts.dim_advice (advice_code varchar, language varchar, sentence varchar, is_of_site boolean);
    create table marts.dim_alert_threshold (
        rule varchar, name varchar, step varchar, threshold_value double, default_value double, unit varchar,
        is_changed boolean, is_enabled boolean);
"""
CONTENT = """
    create table marts.dim_comparison_threshold (name varchar, value double, unit varchar, source varchar);
    insert into marts.dim_comparison_threshold values ('min_protection_rows', 20, 'rows', '');
    insert into marts.dim_alert_threshold (rule, name, threshold_value) values
        ('procedure_dose', 'reference_days', 365), ('procedure_dose', 'min_reference', 20);
    insert into marts.fct_procedure (procedure_id, room_id, procedure_type, procedure_date) values
        ('p1', 'CATH1', 'angioplasty', '2026-03-01'), ('p2', 'CATH2', 'ablation', '2026-02-27'),
        ('p3', 'unknown', 'ablation', '2026-02-28');
    insert into marts.fct_operator_procedure (procedure_id, operator_id) values
        ('p1', 'CD01'), ('p1', 'CN03'), ('p2', 'CD01');
    insert into marts.dim_dosimeter (dosimeter_serial, worn_at, operator_id, room_id, valid_from, valid_to) values
        ('S1', 'over_apron_collar', 'CD01', null, '2026-01-01', null),
        ('R1', 'c_arm', null, 'CATH1', '2026-01-01', '2026-02-28'),  -- from March somebody wears it
        ('R1', 'over_apron_chest', 'CN03', null, '2026-03-01', null);
    insert into ledger.dose_balance (
        source_id, dosimeter_serial, measured_date, quantity, ingested_usv, linked_event_usv, linked_window_usv,
        linked_session_usv, linked_vendor_usv, apportioned_usv, unlinked_usv, covered_by_samples_usv, imbalance_usv
    ) values
        ('rates', 'S1', '2026-03-01', 'hp10', 10.000000003, 4, 2, 1, 0.5, 1, 1.500000003, 0, 0),
        ('rates', 'S1', '2026-03-01', 'hp007', 99, 99, 0, 0, 0, 0, 0, 0, 0),
        ('hours', 'S1', '2026-03-01', 'hp10', 12, 0, 0, 0, 0, 0, 2, 10, 0),  -- 10 of it is in the samples above
        ('rates', 'R1', '2026-02-28', 'hp10', 300, 300, 0, 0, 0, 0, 0, 0, 0),
        ('rates', 'R1', '2026-03-01', 'hp10', 5, 5, 0, 0, 0, 0, 0, 0, 0),
        ('film', 'F1', '2026-02-28', 'hp10', 700, 0, 0, 0, 0, 0, 700, 0, 0);
    insert into ledger.unlinked_dose values
        ('rates', 'S1', 1.500000003, 'no_procedure'), ('hours', 'S1', 2, 'residual'),
        ('film', 'F1', 700, 'passive_period'), ('film', 'F1', null, 'below_detection');
    insert into ledger.file values
        ('inbox/dose_reports/a.dcm', 1, 'loaded', null), ('inbox/dose_reports/b', 2, 'quarantined', 'No DICOM file.');
    insert into ledger.publication values
        ('run1', '2026-03-02 02:00:00+00', '2026-03-01', 90, 'b1'),
        ('run2', '2026-03-03 02:00:00+00', '2026-03-02', 91, 'b2');
"""
ALERT = {
    "rule": "absolute_dose",
    "severity": "notice",
    "operator_id": "CD01",
    "procedure_id": "p1",
    "room_id": None,
    "occurred_on": date(2026, 3, 1),
    "quantity": "hp10_usv",
    "value": 120.5,
    "threshold": 100.0,
    "unit": "uSv",
    "n_reference": None,
    "message": "hp10 above 100 uSv",
    "audience": "operator",
    "state": "open",
}


def publish(folder: Path, more: str = "", **alerts: dict[str, Any]) -> Path:
    """Write both published files with these alerts (id -> what differs from ALERT) and ``more`` SQL."""
    (folder / "restricted").mkdir(parents=True)
    for file, audiences in FILES.items():
        with duckdb.connect(str(folder / file)) as connection:
            connection.execute(DDL + CONTENT + more)
            for name in TABLES:
                connection.execute(f"create table if not exists {name} ({columns_of(name)})")
            for alert_id, differs in alerts.items():
                row = {"alert_id": alert_id, **ALERT, **differs}
                marks = ", ".join("?" * len(row))
                if row["audience"] in audiences:
                    connection.execute(
                        f"insert into alerts.alert ({', '.join(row)}) values ({marks})", list(row.values())
                    )
    return folder


FILES = {
    "warehouse.duckdb": ("operator", "medical_physics"),
    "restricted/restricted.duckdb": ("operator", "medical_physics", "restricted"),
}


@pytest.fixture
def run1(tmp_path: Path) -> Path:
    return publish(
        tmp_path / "published" / "run1",
        first={},
        skin={"severity": "urgent", "rule": "patient_dose", "audience": "medical_physics"},
    )


@pytest.fixture
def run2(tmp_path: Path) -> Path:
    """The next day: one finding more."""
    return publish(
        tmp_path / "published" / "run2",
        first={},
        skin={"severity": "urgent", "rule": "patient_dose", "audience": "medical_physics"},
        second={"operator_id": "RD02"},
    )


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


def february_is_told(data_dir: Path, *readers: Reader) -> None:
    """The letter of the month has gone out before: what is tested is not about it."""
    with open_sent_ledger(data_dir / "delivery" / "sent.sqlite") as ledger:
        for number, reader in enumerate(readers):
            letter = PreparedLetter(f"<february{number}@hospital.example>", reader, AS_OF, b"")
            ledger.prepare(letter, ["month 2026-02"])
            ledger.mark_sent(letter.message_id, "mail.hospital.example:25")


def run(published: Path, data_dir: Path, url: str | None = None, site: SiteConfig | None = None) -> Delivery:
    return deliver(published, site or site_with(MPE), data_dir, {} if url is None else {SMTP_URL: url}, TODAY)


def plain(letter: EmailMessage) -> str:
    body = letter.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


def outbox(data_dir: Path) -> list[EmailMessage]:
    return [read_letter(path.read_bytes()) for path in sorted((data_dir / "outbox").glob("*"))]


def states(data_dir: Path) -> list[tuple[str, str, bool]]:
    """Recipient, state and whether the content is still kept, of all letters."""
    with sqlite3.connect(data_dir / "delivery" / "sent.sqlite") as connection:
        return connection.execute(
            "select recipient, state, content is not null from letter order by recipient, rowid"
        ).fetchall()


# ----------------------------------------------------------------------------------------------------------- the outbox


def test_figures_are_those_of_the_published_file(run1: Path) -> None:
    publication = read_publication(run1 / "warehouse.duckdb")
    assert (publication.run_id, publication.as_of, publication.checks_passed) == ("run2", AS_OF, 91)
    assert (publication.procedures, publication.operators, publication.rooms) == (3, 2, 2)
    # Staff: the samples, the hours' remainder, the former C-arm badge from the day when it was worn; nothing passive.
    assert publication.staff.linked_usv == Decimal("12.5")
    assert publication.staff.apportioned_usv == 1
    assert publication.staff.unlinked_usv == Decimal("3.500000003")
    assert publication.staff.registered_usv == Decimal("17.000000003")
    assert publication.c_arm.registered_usv == publication.c_arm.linked_usv == 300
    assert [(row.reason, row.unlinked_usv) for row in publication.unlinked] == [
        ("residual", 2),
        ("no_procedure", Decimal("1.500000003")),
    ]
    assert [(file.path, file.reason) for file in publication.quarantined] == [
        ("inbox/dose_reports/b", "No DICOM file.")
    ]


def test_without_a_mail_server_one_letter_is_in_the_outbox(run1: Path, data_dir: Path) -> None:
    delivery = run(run1, data_dir)
    (letter,) = outbox(data_dir)
    text = plain(letter)
    assert letter["To"] == MPE
    assert letter["Subject"] == "Hospital Clínico: 2 new findings, data up to 2 March 2026"
    assert (delivery.findings_told, delivery.older_told, delivery.waiting) == (2, 0, 0)
    assert delivery.recipients == (MPE,)
    assert [Path(sent.sent_to).parent for sent in delivery.sent] == [data_dir / "outbox"]
    assert text.index("[skin]") < text.index("Operator CD01 [notice]: 1 procedure with a finding")
    assert "Room CATH1" in text  # the room of the procedure, when the finding names none


def test_letters_and_their_ledger_are_for_their_owner_only(run1: Path, data_dir: Path) -> None:
    mask = os.umask(0)
    try:
        run(run1, data_dir)
    finally:
        os.umask(mask)
    files = [*(data_dir / "outbox").iterdir(), data_dir / "delivery" / "sent.sqlite"]
    assert [stat.S_IMODE(path.stat().st_mode) for path in files] == [0o600, 0o600]
    assert [stat.S_IMODE(path.parent.stat().st_mode) for path in files] == [0o700, 0o700]


def test_a_second_run_on_the_same_data_sends_nothing(run1: Path, data_dir: Path) -> None:
    run(run1, data_dir)
    again = run(run1, data_dir)
    assert again.sent == ()
    assert again.findings_told == 0
    assert len(outbox(data_dir)) == 1


def test_the_same_news_has_the_same_message_id_even_if_the_ledger_was_lost(run1: Path, data_dir: Path) -> None:
    (first,) = run(run1, data_dir).sent
    (data_dir / "delivery" / "sent.sqlite").unlink()
    (second,) = run(run1, data_dir).sent
    assert (second.message_id, second.sent_to) == (first.message_id, first.sent_to)


def test_after_a_restore_of_yesterday_the_letters_since_then_leave_again_with_the_same_id(
    run1: Path, run2: Path, data_dir: Path, tmp_path: Path
) -> None:
    run(run1, data_dir)
    shutil.copytree(data_dir / "delivery", tmp_path / "backup")
    (today,) = run(run2, data_dir).sent
    shutil.rmtree(data_dir / "delivery")
    shutil.copytree(tmp_path / "backup", data_dir / "delivery")
    (again,) = run(run2, data_dir).sent
    assert again.message_id == today.message_id  # and nothing that was sent before the backup


def test_after_a_restore_without_the_ledger_of_letters_none_leaves_twice(
    run1: Path, run2: Path, data_dir: Path
) -> None:
    """Everything else is of yesterday, and the folder delivery/ of today was kept."""
    run(run1, data_dir)
    run(run2, data_dir)
    assert run(run1, data_dir).sent == run(run2, data_dir).sent == ()


def test_the_next_letter_tells_only_what_is_new(run1: Path, run2: Path, data_dir: Path) -> None:
    run(run1, data_dir)
    assert run(run2, data_dir).findings_told == 1
    texts = [plain(letter) for letter in outbox(data_dir)]
    assert sorted(("Operator RD02" in text, "Operator CD01" in text) for text in texts) == [
        (False, True),
        (True, False),
    ]
    assert all("[skin]" in text for text in texts)  # urgent and not answered: in every digest


def test_an_urgent_finding_without_an_answer_is_a_letter_a_week(tmp_path: Path, data_dir: Path) -> None:
    urgent = {"severity": "urgent", "rule": "patient_dose", "audience": "medical_physics"}

    def published_on(day: date, **alerts: dict[str, Any]) -> Path:
        return publish(tmp_path / day.isoformat(), f"update ledger.publication set as_of = '{day}'", **alerts)

    days = [AS_OF + timedelta(days=n) for n in range(15)]  # 2 March 2026 is a Monday
    sent = [len(run(published_on(day, skin=urgent), data_dir).sent) for day in days]
    assert sent == [1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1]
    subjects = [str(letter["Subject"]) for letter in outbox(data_dir)]
    assert sum("1 urgent finding is not answered" in subject for subject in subjects) == 2
    assert all("[skin]" in plain(letter) for letter in outbox(data_dir))
    later = AS_OF + timedelta(days=21)
    assert run(published_on(later, skin={**urgent, "state": "acknowledged"}), data_dir).sent == ()
    assert run(published_on(later + timedelta(days=1), skin={**urgent, "severity": "review"}), data_dir).sent == ()


def test_no_finding_no_letter(tmp_path: Path, data_dir: Path) -> None:
    february_is_told(data_dir, Reader("medical_physics", MPE))
    delivery = run(publish(tmp_path / "quiet"), data_dir)
    assert (delivery.sent, delivery.findings_told, delivery.waiting) == ((), 0, 0)
    assert not (data_dir / "outbox").exists()


def test_restricted_and_answered_findings_are_in_no_letter_and_no_note(tmp_path: Path, data_dir: Path) -> None:
    published = publish(
        tmp_path / "run",
        first={},
        secret={"audience": "restricted", "rule": "pregnancy", "operator_id": "XX99"},
        answered={"state": "closed", "operator_id": "YY98"},
        seen={"state": "acknowledged", "operator_id": "YY97"},
    )
    delivery = run(published, data_dir)
    (letter,) = outbox(data_dir)
    everything = letter.as_string() + plain(letter) + repr(delivery)
    assert "CD01" in everything
    assert not any(word in everything for word in ("XX99", "pregnancy", "YY98", "YY97"))
    assert delivery.findings_told == 1


def test_the_note_on_restricted_findings_does_not_tell_whether_there_are_any(
    tmp_path: Path, run1: Path, data_dir: Path
) -> None:
    secret = publish(tmp_path / "secret", secret={"audience": "restricted", "rule": "pregnancy"})
    notes = run(secret, data_dir).notes
    assert notes == run(run1, data_dir).notes
    assert any("mail.restricted is empty" in note for note in notes)


def test_a_letter_names_the_page_of_its_reader_only_where_there_is_one(run1: Path, data_dir: Path) -> None:
    site = site_with("mpe@hospital.example").model_copy(update={"pages_url": "https://dose.hospital.example"})
    run(run1, data_dir, site=site)
    (letter,) = outbox(data_dir)
    assert "dose.hospital.example" not in plain(letter)  # the page was not published: the link would lead nowhere
    page = data_dir / "published" / "current" / "pages" / "physics" / "index.html"
    page.parent.mkdir(parents=True)
    page.write_text("<p>today</p>", "utf-8")
    shutil.rmtree(data_dir / "delivery")
    shutil.rmtree(data_dir / "outbox")
    run(run1, data_dir, site=site)
    (letter,) = outbox(data_dir)
    assert "https://dose.hospital.example/pages/physics/index.html" in plain(letter)
    html = letter.get_body(("html",))
    assert html is not None
    assert 'href="https://dose.hospital.example/pages/physics/index.html"' in html.get_content()


def test_old_findings_are_one_count_and_are_told_once(tmp_path: Path, data_dir: Path) -> None:
    old = {"occurred_on": AS_OF - timedelta(days=32), "operator_id": "OLD1"}
    published = publish(tmp_path / "run", old1=old, old2=old, first={})
    delivery = run(published, data_dir)
    text = plain(outbox(data_dir)[0])
    assert (delivery.findings_told, delivery.older_told) == (1, 2)
    assert "2 findings that are older than 31 days" in text
    assert "OLD1" not in text
    assert run(published, data_dir).sent == ()


def test_nobody_to_write_to_is_a_note_and_nothing_is_lost(run1: Path, data_dir: Path) -> None:
    delivery = run(run1, data_dir, site=site_with())
    assert any("mail.medical_physics is empty" in note for note in delivery.notes)
    assert delivery.sent == ()
    assert run(run1, data_dir).findings_told == 2


def test_each_reader_has_a_letter_and_a_new_reader_gets_what_is_open(run1: Path, run2: Path, data_dir: Path) -> None:
    run(run1, data_dir)
    both = site_with(MPE, "second@hospital.example", MPE)
    delivery = run(run2, data_dir, site=both)
    assert delivery.recipients == (MPE, "second@hospital.example")
    to_second = next(plain(letter) for letter in outbox(data_dir) if letter["To"] == "second@hospital.example")
    assert all(name in to_second for name in ("Operator CD01", "Operator RD02", "[skin]"))


@pytest.mark.parametrize(
    "url",
    [
        "mail.hospital.example:25",
        "http://mail.hospital.example:25",
        "smtp://mail.hospital.example",
        "smtp://mail.hospital.example:many",
        "smtp://user:secret@mail.hospital.example:25",
        "smtp+starttls://user@mail.hospital.example:587",
        "starttls://user:secret@mail.hospital.example:587",
        "smtps://user@mail.hospital.example:465",
        "smtps://user:s\u00e9cret@mail.hospital.example:465",
        "smtps://user:secret@mail.hospital.example:465/path",
        "smtps://[::1:secret@x",
    ],
)
def test_a_wrong_server_address_is_one_sentence_without_the_password(url: str, run1: Path, data_dir: Path) -> None:
    with pytest.raises(MailServerError) as error:
        relay_of(url, SMTP_URL)
    assert str(error.value).startswith(f"{SMTP_URL} must be smtp://host:port")
    assert "cret" not in str(error.value)
    delivery = run(run1, data_dir, url)
    assert delivery.waiting == 1
    assert any(SMTP_URL in note for note in delivery.notes)
    assert "cret" not in " ".join(delivery.notes)


def test_a_server_address_is_read_whole() -> None:
    relay = relay_of("smtps://dose%40hospital:p%3Aw@mail.hospital.example:465", SMTP_URL)
    assert (relay.host, relay.port, relay.scheme) == ("mail.hospital.example", 465, "smtps")
    assert (relay.user, relay.password) == ("dose@hospital", "p:w")
    assert "p:w" not in f"{relay} {relay!r}"


# ------------------------------------------------------------------------------------------------------- a mail server


@pytest.fixture
def start(request: pytest.FixtureRequest) -> Callable[..., Server]:
    """Start a mail server on a free port; it ends with the test."""

    def started(server: Server, scheme: str = "smtp", **options: Any) -> Server:
        controller = FreePortController(server, hostname="127.0.0.1", port=0, **options)
        controller.start()
        request.addfinalizer(controller.stop)
        server.url = f"{scheme}://127.0.0.1:{controller.port}"
        return server

    return started


Start = Callable[..., Server]


def breaks_off(server: SMTP) -> None:
    assert isinstance(server.transport, asyncio.WriteTransport)
    server.transport.abort()


def test_a_letter_goes_to_the_server_once(start: Start, run1: Path, run2: Path, data_dir: Path) -> None:
    server = start(Server())
    delivery = run(run1, data_dir, server.url)
    assert [sent.sent_to for sent in delivery.sent] == [server.url.removeprefix("smtp://")]
    assert run(run1, data_dir, server.url).sent == ()
    ((recipient, letter),) = server.taken
    assert recipient == letter["To"] == MPE
    assert letter["Message-ID"] == delivery.sent[0].message_id
    assert "High patient dose" in plain(letter)
    assert states(data_dir) == [(MPE, "sent", False)]
    run(run2, data_dir, server.url)
    assert len(set(server.ids())) == len(server.ids()) == 2


def test_a_dead_server_keeps_the_letter_for_the_next_run(start: Start, run1: Path, run2: Path, data_dir: Path) -> None:
    delivery = run(run1, data_dir, "smtp://127.0.0.1:9")
    assert (delivery.sent, delivery.waiting) == ((), 1)
    assert any("127.0.0.1:9 does not take letters now" in note for note in delivery.notes)
    assert states(data_dir) == [(MPE, "prepared", True)]
    server = start(Server())
    assert len(run(run2, data_dir, server.url).sent) == 2
    first, second = (plain(letter) for _, letter in server.taken)
    assert "Operator CD01" in first
    assert "Operator CD01" not in second
    assert "Operator RD02" in second


def test_what_waited_leaves_also_when_nothing_is_new(start: Start, run1: Path, data_dir: Path) -> None:
    run(run1, data_dir, "smtp://127.0.0.1:9")
    server = start(Server())
    delivery = run(run1, data_dir, server.url)
    assert (len(delivery.sent), delivery.findings_told, len(server.taken)) == (1, 0, 1)


def test_a_refused_letter_waits_and_the_others_leave(start: Start, run1: Path, data_dir: Path) -> None:
    site = site_with("gone@hospital.example", MPE)
    server = start(Server(refused_recipients=frozenset({"gone@hospital.example"})))
    delivery = run(run1, data_dir, server.url, site)
    assert delivery.recipients == (MPE,)
    assert any("gone@hospital.example: 550 5.1.1 No such user" in note for note in delivery.notes)
    assert states(data_dir) == [("gone@hospital.example", "prepared", True), (MPE, "sent", False)]
    # The address was a mistake: its letter is not sent to it any more, and the right one gets everything.
    server.refused_recipients = frozenset()
    right = site_with("right@hospital.example", MPE)
    delivery = run(run1, data_dir, server.url, right)
    assert delivery.recipients == ("right@hospital.example",)
    assert any("gone@hospital.example wait" in note for note in delivery.notes)


def test_a_letter_refused_after_data_is_sent_again_with_the_same_id(start: Start, run1: Path, data_dir: Path) -> None:
    server = start(Server(answer=lambda _: "451 4.3.0 Try later"))
    delivery = run(run1, data_dir, server.url)
    assert delivery.waiting == 1
    assert any("451 4.3.0 Try later" in note for note in delivery.notes)
    server.answer = lambda _: None
    assert run(run1, data_dir, server.url).waiting == 0
    assert server.ids() == [server.ids()[0]] * 2


@pytest.mark.parametrize("keeps", [True, False], ids=["after it has the letter", "before it has the letter"])
def test_after_an_unknown_outcome_the_same_letter_goes_again(
    keeps: bool, start: Start, run1: Path, run2: Path, data_dir: Path
) -> None:
    server = start(Server(answer=breaks_off, keeps_before_answer=keeps))
    delivery = run(run1, data_dir, server.url)
    assert (delivery.sent, delivery.waiting) == ((), 1)
    server.answer, server.keeps_before_answer = lambda _: None, True
    run(run2, data_dir, server.url)
    ids = server.ids()
    assert len(ids) == (3 if keeps else 2)
    assert len(set(ids)) == 2


def test_a_silent_server_is_left_after_the_timeout(
    start: Start, run1: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestration.letters.post.TIMEOUT_S", 0.5)
    awake = threading.Event()

    def sleeps(_server: SMTP) -> None:
        awake.wait(10)

    server = start(Server(answer=sleeps))
    delivery = run(run1, data_dir, server.url)
    awake.set()
    assert delivery.waiting == 1
    assert any("timed out" in note for note in delivery.notes)


def deliver_in_child(published: Path, data_dir: Path, url: str) -> None:
    run(published, data_dir, url)


def test_a_process_killed_while_it_sends_loses_nothing(start: Start, run1: Path, data_dir: Path) -> None:
    awake = threading.Event()

    def sleeps(_server: SMTP) -> None:
        awake.wait(60)

    server = start(Server(answer=sleeps))
    child = multiprocessing.get_context("spawn").Process(target=deliver_in_child, args=(run1, data_dir, server.url))
    child.start()
    assert server.got_data.wait(60)
    child.kill()
    child.join(30)
    awake.set()
    assert states(data_dir) == [(MPE, "prepared", True)]
    again = start(Server())
    assert len(run(run1, data_dir, again.url).sent) == 1
    assert again.ids() == server.ids()


@pytest.fixture
def certificate(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """A certificate for 127.0.0.1, made now; skipped where openssl is missing."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
    try:
        subprocess.run(
            [*command.split(), "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
            check=True,
            capture_output=True,
        )
    except FileNotFoundError:
        pytest.skip("the program openssl, which makes the test certificate, is not installed")
    yield key, certificate


@pytest.mark.filterwarnings("ignore:Requiring AUTH")
def test_smtps_needs_a_trusted_certificate_and_the_right_password(
    certificate: tuple[Path, Path], start: Start, run1: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, public = certificate
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, key)

    def authenticate(_server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any) -> AuthResult:
        is_right = isinstance(data, LoginPassword) and (data.login, data.password) == (b"dose", b"s3cr:t")
        return AuthResult(success=is_right, handled=False)

    server = start(
        Server(),
        "smtps",
        ssl_context=context,
        authenticator=authenticate,
        auth_required=True,
        auth_require_tls=False,  # the whole connection is TLS, which aiosmtpd does not see from inside
    )
    right, wrong = (server.url.replace("//", f"//dose:{password}@") for password in ("s3cr%3At", "wr0ng"))
    untrusted = run(run1, data_dir, right)
    assert any("certificate verify failed" in note.lower() for note in untrusted.notes)
    monkeypatch.setenv("SSL_CERT_FILE", str(public))
    refused = run(run1, data_dir, wrong)
    assert any("535" in note for note in refused.notes)
    assert not any(secret in note for secret in ("s3cr", "wr0ng") for note in (*untrusted.notes, *refused.notes))
    assert server.taken == []
    assert len(run(run1, data_dir, right).sent) == 1
    assert len(server.taken) == 1


@pytest.fixture
def tls(certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A server's certificate that is trusted."""
    key, public = certificate
    monkeypatch.setenv("SSL_CERT_FILE", str(public))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, key)
    return context


def password_is_s3cret(_: SMTP, __: Session, ___: Envelope, ____: str, data: Any) -> AuthResult:
    return AuthResult(success=(data.login, data.password) == (b"dose", b"s3cret"), handled=False)


def doctor_on_mail(root: Path, url: str) -> list[Finding]:
    """What the doctor finds of mail at a site that writes to MPE only."""
    make_site(root, site=f"site_id: small\nname: Small\nmail: {{medical_physics: [{MPE}]}}\n")
    looks = examine(root, KEY | {SMTP_URL: url}, datetime.now(UTC))
    return [finding for finding in looks if finding.topic == "mail"]


@pytest.mark.parametrize("wants_login", [True, False])
def test_a_server_that_wants_starttls(
    tls: ssl.SSLContext, start: Start, run1: Path, data_dir: Path, tmp_path: Path, *, wants_login: bool
) -> None:
    login = {"authenticator": password_is_s3cret, "auth_required": True} if wants_login else {}
    server = start(Server(), "smtp", tls_context=tls, require_starttls=True, **login)
    address = server.url.removeprefix("smtp://")
    url = f"smtp+starttls://dose:s3cret@{address}" if wants_login else f"smtp+starttls://{address}"
    (finding,) = doctor_on_mail(tmp_path / "site", url)
    assert finding.state == "ok"
    assert server.taken == []
    assert len(run(run1, data_dir, url).sent) == 1
    assert [recipient for recipient, _ in server.taken] == [MPE]


def test_starttls_is_used_where_it_is_offered(tls: ssl.SSLContext, start: Start, run1: Path, data_dir: Path) -> None:
    encrypted: list[bool] = []

    def note(server: SMTP) -> None:
        encrypted.append(server._tls_protocol is not None)

    server = start(Server(answer=note), tls_context=tls)
    assert len(run(run1, data_dir, server.url).sent) == 1
    assert encrypted == [True]


@pytest.mark.parametrize("scheme", ["smtp", "smtp+starttls"])
def test_a_certificate_that_is_not_valid_gets_no_letter(
    tls: ssl.SSLContext, start: Start, run1: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    server = start(Server(), scheme, tls_context=tls)
    monkeypatch.delenv("SSL_CERT_FILE")
    delivery = run(run1, data_dir, server.url)
    assert any("SSL_CERT_FILE names the file" in note for note in delivery.notes)
    assert (delivery.waiting, server.taken) == (1, [])


def test_without_the_offer_no_letter_leaves_where_starttls_is_required(
    start: Start, run1: Path, data_dir: Path, tmp_path: Path
) -> None:
    """As if somebody in between had removed the offer."""
    server = start(Server(), "smtp+starttls")
    url = server.url.replace("//", "//dose:s3cret@")
    delivery = run(run1, data_dir, url)
    assert (delivery.waiting, server.taken) == (1, [])
    assert any("STARTTLS" in note for note in delivery.notes)
    (finding,) = doctor_on_mail(tmp_path / "site", url)
    assert finding.state == "fail"
    assert "STARTTLS" in finding.sentence


@pytest.mark.filterwarnings("ignore:Requiring AUTH")
def test_the_doctor_sees_what_the_night_will_meet(start: Start, run1: Path, data_dir: Path, tmp_path: Path) -> None:
    """A server that answers a greeting, and 530 to a letter; and one that refuses one address only."""
    server = start(Server(), authenticator=password_is_s3cret, auth_required=True, auth_require_tls=False)
    delivery = run(run1, data_dir, server.url)
    assert any("530" in note for note in delivery.notes)
    assert delivery.waiting == 1
    (finding,) = doctor_on_mail(tmp_path / "site", server.url)
    assert finding.state == "fail"
    assert "530" in finding.sentence

    server = start(Server(refused_recipients=frozenset({MPE})))
    (finding,) = doctor_on_mail(tmp_path / "site", server.url)
    assert finding.state == "fail"
    assert f"no letters to {MPE}: 550" in finding.sentence


def test_letters_that_did_not_leave_are_said_everywhere(run1: Path, tmp_path: Path) -> None:
    root = make_site(tmp_path / "site", site="site_id: small\nname: Small\ndata_dir: data\n")
    dead = "smtp://127.0.0.1:9"
    delivery = run(run1, root / "data", dead)
    shown = Console(width=200, record=True)
    shown.print(places(run1, [letter.sent_to for letter in delivery.sent], delivery.waiting))
    print_status(root, shown)
    text = shown.export_text()
    assert "1 did not leave" in text
    assert "nothing new to tell" not in text
    assert f"Letters that have not left: 1, the oldest of {TODAY}" in text
    looks = examine(root, KEY | {SMTP_URL: ""}, datetime.now(UTC))
    assert any(f"1 letters have not left, the oldest of {TODAY}" in finding.sentence for finding in looks)


def test_a_restricted_letter_that_waits_is_not_counted(tmp_path: Path, data_dir: Path) -> None:
    published = publish(tmp_path / "run", secret={"audience": "restricted", "rule": "pregnancy"})
    run(published, data_dir, "smtp://127.0.0.1:9", site_with(restricted=["om@hospital.example"]))
    assert [state for recipient, state, _ in states(data_dir) if recipient == "om@hospital.example"] == ["prepared"]
    assert waiting_letters(data_dir / SENT) is None


# ------------------------------------------------------------------------------------------------ each operator's own

CD01, CN03 = "cd01@hospital.example", "cn03@hospital.example"
OPERATORS = """
    insert into marts.dim_operator values
        ('CD01', 'Núñez "the first" <b>, Ana', 'cd01@hospital.example', 'fr'),
        ('CN03', 'إبراهيم Şahin', 'cn03@hospital.example', null), ('XX09', 'Unaddressed', null, null);
"""
# Two classes: angioplasty of 20 procedures and more, ablation of fewer. CN03 is the other in all of them.
CLASSES = """
    insert into marts.fct_procedure (
        procedure_id, room_id, procedure_type, procedure_date, started_at, study_instance_uid, accession_number,
        patient_key)
        select 'c' || i, 'CATH1', 'angioplasty', date '2026-02-01' + cast(i % 25 as integer), null,
            '2.25.777' || i, 'ACC777' || i, 'feedface' || i
        from range(24) as t (i);
    insert into marts.fct_operator_procedure (procedure_id, operator_id, role, hp10_usv)
        select 'c' || i, case when i % 4 = 0 then 'CD01' else 'CN03' end, 'first_operator', i from range(24) as t (i);
    insert into marts.fct_operator_procedure (procedure_id, operator_id, role, hp10_usv, role_group)
        select 'c' || i, 'CN03', 'nurse', 1000, 'nurse' from range(24) as t (i) where i % 4 = 0;
    insert into marts.fct_procedure (
        procedure_id, room_id, procedure_type, procedure_date, started_at, study_instance_uid, accession_number,
        patient_key)
        select 's' || i, 'CATH2', 'ablation', '2026-02-11', null, '2.25.888' || i, 'ACC888' || i, 'deadbeef' || i
        from range(19) as t (i);
    insert into marts.fct_operator_procedure (procedure_id, operator_id, role, hp10_usv)
        select 's' || i, 'CD01', 'first_operator', 7.5 from range(19) as t (i);
    insert into marts.fct_operator_month values
        ('CD01', '2026-02-01', 25, 24, 321.5, 12.25, 300, null), ('CN03', '2026-02-01', 24, 24, 987.5, 3, 900, null);
    insert into marts.fct_operator_limit values
        ('CD01', 'lens', 'calendar_year', 'annual_20', '2026-01-01', '2026-03-02', 6.5, 20, 0.325, 1.95, 6.5,
            true, 50, '2026-03-01', null, 'confirmed', 'law'),
        ('CD01', 'effective', 'pregnancy', 'pregnancy_1', '2026-01-01', '2026-10-08', 0.5432, 1, 0.5432, null, 0.5432,
            false, 30, '2026-02-01', false, 'confirmed', 'law'),
        ('CN03', 'lens', 'calendar_year', 'annual_20', '2026-01-01', '2026-03-02', 13.579, 20, 0.67895, null, 13.579,
            true, 50, '2026-03-01', null, 'confirmed', 'law');
"""
OF_OTHERS: dict[str, dict[str, Any]] = {
    "his": {"operator_id": "CN03", "value": 246.8},
    "physics": {"audience": "medical_physics", "rule": "badge_not_worn", "quantity": "kap"},
    "secret": {"audience": "restricted", "rule": "pregnancy", "limit_rule": "pregnancy_1", "dose_window": "pregnancy"},
}


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """A publication with three operators, one of them without an address."""
    return publish(tmp_path / "published" / "people", OPERATORS + CLASSES, hers={}, **OF_OTHERS)


def letters_by_reader(data_dir: Path) -> dict[str, EmailMessage]:
    return {str(letter["To"]): letter for letter in outbox(data_dir)}


def every_byte(letter: EmailMessage) -> bytes:
    """The letter as it leaves, its subject, and every part of it decoded."""
    parts = [part.get_payload(decode=True) for part in letter.walk() if not part.is_multipart()]
    return b"\n".join([letter.as_bytes(), str(letter["Subject"]).encode(), *(p for p in parts if isinstance(p, bytes))])


def every_text(letter: EmailMessage) -> str:
    """Plain text and HTML: what has figures."""
    html = letter.get_body(("html",))
    assert html is not None
    return plain(letter) + str(html.get_content())


def test_each_operator_gets_their_own_findings_month_and_limits_in_their_language(people: Path, data_dir: Path) -> None:
    run(people, data_dir)
    letters = letters_by_reader(data_dir)
    assert set(letters) == {MPE, CD01, CN03}
    text = plain(letters[CD01])
    assert letters[CD01]["Content-Language"] == "fr"
    assert letters[CN03]["Content-Language"] == "en"  # no language of their own: the site's
    assert 'Núñez "the first" <b>, Ana (CD01)' in text
    for fact in ("[hers]", "322", "6,5", "195,0", "Dose de l’opérateur élevée en une procédure", "32,5"):
        assert fact in text
    assert "[his]" in plain(letters[CN03])
    assert "إبراهيم Şahin" in plain(letters[CN03])


def test_no_operators_letter_has_anything_of_anybody_else(people: Path, data_dir: Path) -> None:
    run(people, data_dir)
    letters = letters_by_reader(data_dir)
    patients = ["feedface", "deadbeef", "2.25.777", "2.25.888", "ACC777", "ACC888"]
    pregnancy = ["secret", "pregnan", "grossesse"]
    # Of each other: ids, names and addresses in any byte, figures in the text.
    ids = {CD01: ["CN03", "Şahin", "cn03@", "[his]"], CN03: ["CD01", "Núñez", "cd01@", "[hers]"]}
    figures = {CD01: ["246", "13,6", "67,8", "987"], CN03: ["120.5", "120.50", "32.5", "195", "12.3", "322"]}
    for address in (CD01, CN03):
        content = every_byte(letters[address])
        secrets = [*ids[address], *patients, *pregnancy, "XX09", "Unaddressed"]
        assert [secret for secret in secrets if secret.encode() in content] == []
        text = every_text(letters[address]).replace("\u202f", "")
        assert [figure for figure in [*figures[address], "54.3", "54,3", "0,54", "0.54"] if figure in text] == []
    assert [secret for secret in [*pregnancy, *patients] if secret.encode() in every_byte(letters[MPE])] == []
    assert "54.3" not in every_text(letters[MPE])


def with_others(people: Path, number: int) -> None:
    """Add 24 doses of a class by so many other first operators: 0 to 23 µSv."""
    with duckdb.connect(str(people / "warehouse.duckdb")) as connection:
        connection.execute(
            "update marts.fct_operator_procedure set operator_id = 'CD01' where role = 'first_operator';"
            "insert into marts.fct_operator_procedure (procedure_id, operator_id, role, hp10_usv)"
            f" select 'c' || i, 'O' || (i % {number}), 'first_operator', i from range(24) as t (i)"
        )


def test_a_class_of_few_other_people_is_not_compared(people: Path) -> None:
    with_others(people, 4)
    personal = read_personal(people / "warehouse.duckdb", "CD01", date(2026, 2, 1), date(2026, 2, 28))
    assert personal.classes == ()


def test_a_class_is_shown_with_its_n_and_only_from_20_procedures(people: Path) -> None:
    with_others(people, 5)
    personal = read_personal(people / "warehouse.duckdb", "CD01", date(2026, 2, 1), date(2026, 2, 28))
    (shown,) = personal.classes
    # 24 doses of other first operators: 0 to 23 µSv; neither the own ones nor a nurse's 1000 µSv count.
    assert (shown.procedure_type, shown.procedures) == ("angioplasty", 24)
    assert (shown.q1_usv, shown.median_usv, shown.q3_usv) == (5.75, 11.5, 17.25)
    assert {row.procedure_type for row in personal.procedures} == {"angioplasty", "ablation"}
    assert LEAST_PROCEDURES_OF_A_CLASS == 20


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [("min_reference", 24, 1), ("min_reference", 25, 0), ("min_reference", 1, 1), ("reference_days", 1, 0)],
)
def test_a_class_is_compared_as_the_settings_of_the_site_say(people: Path, name: str, value: int, shown: int) -> None:
    with_others(people, 5)
    with duckdb.connect(str(people / "warehouse.duckdb")) as connection:
        connection.execute("update marts.dim_alert_threshold set threshold_value = ? where name = ?", [value, name])
    personal = read_personal(people / "warehouse.duckdb", "CD01", date(2026, 2, 1), date(2026, 2, 28))
    assert len(personal.classes) == shown


def test_an_operator_without_an_address_is_said_once_and_not_written_to(people: Path, data_dir: Path) -> None:
    notes = run(people, data_dir).notes
    assert [note for note in notes if "XX09" in note] == [
        "operators.csv has no email of XX09: they get no letter of their own."
    ]


def test_the_month_is_told_once_and_without_news_it_is_all_that_is_told(people: Path, data_dir: Path) -> None:
    run(people, data_dir)
    assert run(people, data_dir).sent == ()
    march = publish(people.parent / "april", OPERATORS + CLASSES)
    for file in FILES:
        with duckdb.connect(str(march / file)) as connection:
            connection.execute("update ledger.publication set as_of = '2026-04-01' where run_id = 'run2'")
            connection.execute(
                "insert into marts.fct_operator_month values ('CD01', '2026-03-01', 4, 4, 44, 4, 4, null)"
            )
    delivery = run(march, data_dir)
    # CN03 did not work in March.
    assert set(delivery.recipients) == {MPE, CD01}
    subjects = {str(letter["Subject"]) for letter in outbox(data_dir)}
    assert {"Hospital Clínico : bilan de mars 2026", "Hospital Clínico: summary of March 2026"} <= subjects
    assert run(march, data_dir).sent == ()


def test_a_month_without_any_data_is_no_letter(tmp_path: Path, data_dir: Path) -> None:
    january = publish(tmp_path / "run", "update ledger.publication set as_of = '2026-01-30'")
    assert run(january, data_dir).sent == ()


def test_the_same_address_as_physicist_and_operator_gets_both_letters(tmp_path: Path, data_dir: Path) -> None:
    published = publish(
        tmp_path / "run",
        "insert into marts.dim_operator values ('CD01', 'Ana', 'mpe@hospital.example', 'en')",
        first={},
    )
    assert run(published, data_dir).recipients == (MPE,)
    assert len(outbox(data_dir)) == 2


def test_an_address_that_becomes_another_operators_gets_no_letter_that_waited_for_the_first(
    start: Start, people: Path, tmp_path: Path, data_dir: Path
) -> None:
    run(people, data_dir, "smtp://127.0.0.1:9")
    swapped = OPERATORS.replace("cd01@", "x@").replace("cn03@", "cd01@")
    server = start(Server())
    delivery = run(publish(tmp_path / "swapped", swapped + CLASSES, hers={}, **OF_OTHERS), data_dir, server.url)
    assert any("cn03@hospital.example wait" in note for note in delivery.notes)
    assert "cd01@hospital.example" in delivery.recipients
    to_cd01 = [every_byte(letter) for recipient, letter in server.taken if recipient == CD01]
    assert len(to_cd01) == 1
    assert b"CD01" not in to_cd01[0]


# ------------------------------------------------------------------------------------------------ restricted findings

OCCUPATIONAL = "occupational@hospital.example"


def with_restricted(*operations: str) -> SiteConfig:
    return site_with(MPE, restricted=[OCCUPATIONAL], operations=list(operations))


def test_restricted_findings_go_to_mail_restricted_only_and_nobody_hears_of_it(
    start: Start, people: Path, data_dir: Path
) -> None:
    server = start(Server())
    delivery = run(people, data_dir, server.url, with_restricted())
    taken = dict(server.taken)
    text = plain(taken[OCCUPATIONAL])
    assert "Finding secret" in text
    assert "0.543" in text  # the dose and the limit, from the restricted file
    assert str(taken[OCCUPATIONAL]["Subject"]) == "Hospital Clínico: confidential letter to occupational health"
    assert "secret" not in repr(delivery)
    assert OCCUPATIONAL not in repr(delivery)
    assert all(b"Finding secret" not in every_byte(letter) for to, letter in server.taken if to != OCCUPATIONAL)
    assert sum(to == OCCUPATIONAL for to, _ in server.taken) == 1
    assert len(run(people, data_dir, server.url, with_restricted()).sent) == 0
    assert sum(to == OCCUPATIONAL for to, _ in server.taken) == 1


@pytest.mark.parametrize("trouble", ["no such user", "dead", "breaks off", "later", "outbox"])
def test_what_a_run_says_does_not_tell_whether_there_is_a_restricted_finding(
    trouble: str, start: Start, tmp_path: Path
) -> None:
    said = []
    for name, findings in (("with", {"secret": {"audience": "restricted", "rule": "pregnancy"}}), ("without", {})):
        server = Server(
            refused_recipients=frozenset({OCCUPATIONAL} if trouble == "no such user" else ()),
            answer={"breaks off": breaks_off, "later": lambda _: "451 later"}.get(trouble, lambda _: None),
        )
        url = None if trouble == "outbox" else "smtp://127.0.0.1:9" if trouble == "dead" else start(server).url
        data_dir = tmp_path / name
        february_is_told(data_dir, Reader("medical_physics", MPE))
        delivery = run(publish(tmp_path / f"{name}_run", "", **findings), data_dir, url, with_restricted())
        said.append(repr(delivery).replace(server.url.removeprefix("smtp://") or "-", "SERVER"))
    assert said[0] == said[1]
    assert ("No such user" in said[0]) == (trouble == "no such user")


def test_a_restricted_letter_that_could_not_leave_leaves_later_with_the_same_id(
    start: Start, people: Path, data_dir: Path
) -> None:
    server = start(Server(answer=lambda _: "451 later"))
    run(people, data_dir, server.url, with_restricted())
    server.answer = lambda _: None
    run(people, data_dir, server.url, with_restricted())
    ids = [str(letter["Message-ID"]) for to, letter in server.taken if to == OCCUPATIONAL]
    assert len(ids) == 2
    assert len(set(ids)) == 1


# ------------------------------------------------------------------------------------------------------- operations

OPERATIONS = "operations@hospital.example"
GATE = Trouble("gate", ("structural: marts.fct_procedure has 3 rows with a negative kap_gy_cm2.",))


def tell(
    data_dir: Path, *troubles: Trouble, url: str | None = None, site: SiteConfig | None = None, day: date = TODAY
) -> Delivery:
    environ = {} if url is None else {SMTP_URL: url}
    return deliver_troubles(troubles, site or site_with(operations=[OPERATIONS]), data_dir, environ, day)


def test_a_trouble_is_told_to_operations_once_a_day(data_dir: Path) -> None:
    assert tell(data_dir, GATE).recipients == (OPERATIONS,)
    assert tell(data_dir, GATE).sent == ()
    assert tell(data_dir, replace(GATE, page=Path("/data/data_docs/of_another_try.html"))).sent == ()
    assert len(tell(data_dir, GATE, Trouble("pull", ("The server does not answer.",))).sent) == 1
    assert len(tell(data_dir, GATE, day=TODAY + timedelta(days=1)).sent) == 1
    text = plain(outbox(data_dir)[0])
    assert GATE.sentences[0] in text
    assert "expectations/README.md" in text


def test_nothing_wrong_or_nobody_to_write_to(data_dir: Path) -> None:
    assert tell(data_dir) == Delivery()
    (note,) = tell(data_dir, GATE, site=site_with()).notes
    assert "mail.operations is empty" in note


def test_a_letter_to_operations_that_waits_leaves_with_the_next_run(start: Start, run1: Path, data_dir: Path) -> None:
    assert tell(data_dir, GATE, url="smtp://127.0.0.1:9").waiting == 1
    server = start(Server())
    delivery = run(run1, data_dir, server.url, site_with(MPE, operations=[OPERATIONS]))
    assert set(delivery.recipients) == {OPERATIONS, MPE}


# ---------------------------------------------------------------------------------------------- every kind of letter


@pytest.mark.parametrize("fault", ["refuses", "dies before DATA is kept", "dies after DATA is kept", "delays"])
def test_every_kind_of_letter_leaves_whole_after_a_faulty_server(
    fault: str, start: Start, people: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    awake = threading.Event()

    def sleeps(_server: SMTP) -> None:
        awake.wait(10)

    faults: dict[str, tuple[Callable[[SMTP], str | None], bool]] = {
        "refuses": (lambda _: "451 4.3.0 Try later", True),
        "dies before DATA is kept": (breaks_off, False),
        "dies after DATA is kept": (breaks_off, True),
        "delays": (sleeps, True),
    }
    answer, keeps = faults[fault]
    site = with_restricted(OPERATIONS)
    server = start(Server(answer=answer, keeps_before_answer=keeps))
    with monkeypatch.context() as patch:
        patch.setattr("orchestration.letters.post.TIMEOUT_S", 0.5)
        tell(data_dir, GATE, url=server.url, site=site)
        run(people, data_dir, server.url, site)
    awake.set()
    assert {state for _, state, _ in states(data_dir)} == {"prepared"}
    kept_first = {(to, str(letter["Message-ID"])) for to, letter in server.taken}
    good = start(Server())
    run(people, data_dir, good.url, site)
    everybody = [OPERATIONS, OCCUPATIONAL, MPE, CD01, CN03]
    assert sorted(to for to, _ in good.taken) == sorted(everybody)
    # Those that the first server had kept without saying so came with the same name again.
    assert kept_first <= {(to, str(letter["Message-ID"])) for to, letter in good.taken}
    assert bool(kept_first) == keeps
    run(people, data_dir, good.url, site)
    assert len(good.taken) == len(everybody)


def test_two_that_deliver_at_once_send_each_letter_once(start: Start, people: Path, data_dir: Path) -> None:
    server = start(Server())
    children = [
        multiprocessing.get_context("spawn").Process(target=deliver_in_child, args=(people, data_dir, server.url))
        for _ in range(2)
    ]
    for child in children:
        child.start()
    for child in children:
        child.join(120)
    assert [child.exitcode for child in children] == [0, 0]
    assert sorted(to for to, _ in server.taken) == sorted([MPE, CD01, CN03])


def test_a_ledger_of_the_first_version_is_carried_on(run1: Path, run2: Path, data_dir: Path) -> None:
    (data_dir / "delivery").mkdir(parents=True)
    with sqlite3.connect(data_dir / "delivery" / "sent.sqlite") as old:
        old.executescript(
            """
            create table letter (message_id text primary key, recipient text not null,
                state text not null check (state in ('prepared', 'sent')), prepared_on text not null, content blob,
                sent_to text, check ((state = 'prepared') = (content is not null))) strict;
            create table told (recipient text not null, alert_id text not null,
                message_id text not null references letter (message_id), primary key (recipient, alert_id)) strict;
            insert into letter values ('<old@x>', 'mpe@hospital.example', 'sent', '2026-03-01', null, 'x:25');
            insert into told values ('mpe@hospital.example', 'first', '<old@x>'),
                ('mpe@hospital.example', 'skin', '<old@x>');
            """
        )
    february_is_told(data_dir, Reader("medical_physics", MPE))
    # Nothing is told again; the urgent finding that is not answered is this week's letter.
    assert run(run1, data_dir).findings_told == 0
    assert run(run1, data_dir).sent == ()
    assert run(run2, data_dir).findings_told == 1
