"""Findings listed and answered by a selection: what is shown is what is answered, and an empty selection is refused."""

from __future__ import annotations

import csv
import io
import os
import stat
from collections.abc import Sequence
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.small_site import make_site, write
from unit.orchestration.console.test_cli import call, refused

from ingest.site.config import check_site, load_site
from orchestration.console.alert_actions import short_ids
from orchestration.console.alert_log import answering
from orchestration.pages.worklist import ANSWER, CONTEXT, worklist

LOG = "reference/alert_log.csv"
HEADER = ",".join(ANSWER)
URGENT, REVIEW, UNDATED, ACKNOWLEDGED, CLOSED, TWIN = (
    name.ljust(32, "0") for name in ("aaaaaaaa1", "bbbbbbbb1", "cccccccc1", "dddddddd1", "eeeeeeee1", "aaaaaaaa2")
)
TABLES = """
    set TimeZone = 'UTC'; create schema ledger; create schema alerts; create schema marts;
    create table ledger.publication as
        select 'r1' as run_id, date '2024-03-31' as as_of, 'f' as input_fingerprint,
        timestamptz '2024-03-31 21:30:00+00' as published_at, 1 as checks_passed, null::varchar as previous_run_id;
    create table marts.dim_operator as select unnest(['CD01', 'CN03']) as operator_id;
    create table marts.dim_room as select 'CATH1' as room_id, 'Hemodinámica 1' as room_name;
    create table marts.fct_procedure as
        select * from (values ('p1p1p1p1q', 'A1', '1.2.3', 'CATH1'), ('p2p2p2p2q', 'A2', '1.2.4', 'CATH9'),
        ('p3p3p3p3q', 'A2', '1.2.5', null)) as rows(procedure_id, accession_number, study_instance_uid, room_id);
    create table alerts.alert (
        alert_id varchar, severity varchar, state varchar, rule varchar, occurred_on date, operator_id varchar,
        procedure_id varchar, room_id varchar, quantity varchar, value double, threshold double, unit varchar,
        message varchar);
"""
FINDINGS = (
    (URGENT, "urgent", "open", "patient_dose", "2024-03-30", None, "p1p1p1p1q", None),
    (REVIEW, "review", "open", "procedure_dose", "2024-03-29", "CD01", "p1p1p1p1q", None),
    (UNDATED, "review", "open", "dose_limit", None, "CD01", None, None),
    (ACKNOWLEDGED, "review", "acknowledged", "procedure_dose", "2024-03-20", "CD01", "p2p2p2p2q", None),
    (CLOSED, "notice", "closed", "procedure_dose", "2024-03-10", "CD01", "p2p2p2p2q", None),
    (TWIN, "notice", "open", "data_quality", "2024-02-01", None, None, "CATH1"),
)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A site whose current publication has six findings; one more is restricted."""
    root = make_site(tmp_path / "site")
    folder = root / "data/published/runs/r1"
    (folder / "restricted").mkdir(parents=True)
    for file in ("warehouse.duckdb", "restricted/restricted.duckdb"):
        with duckdb.connect(folder / file) as con:
            con.execute(TABLES)
            for row in FINDINGS:
                con.execute(
                    "insert into alerts.alert values (?, ?, ?, ?, ?, ?, ?, ?, 'hp10', 123.4, 100, 'uSv', '')", row
                )
    with duckdb.connect(folder / "restricted/restricted.duckdb") as con:
        con.execute(
            "insert into alerts.alert by name select 'f0f0f0f01' as alert_id, 'pregnancy' as rule,"
            " 'CD01' as operator_id, 'open' as state, 'urgent' as severity"
        )
    (root / "data/published/current").symlink_to("runs/r1")
    return root


def listed(site: Path, *options: str) -> list[str]:
    """Identifiers of the findings that a list shows."""
    result = call("alert", "list", "--site", site, *options, "--csv")
    assert result.exit_code == 0, result.output
    return [row["alert_id"] for row in csv.DictReader(io.StringIO(result.output, newline=""))]


def answered(site: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((site / LOG).read_text("utf-8"))))


def answer(site: Path, command: str, *options: str) -> Sequence[object]:
    return ("alert", command, "--site", site, "--by", "Ana", "--comment", "seen", *options)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), [URGENT, REVIEW, UNDATED, TWIN]),
        (("--state", "answered"), [ACKNOWLEDGED, CLOSED]),
        (("--state", "all"), [URGENT, REVIEW, ACKNOWLEDGED, UNDATED, CLOSED, TWIN]),
        (("--state", "all", "--rule", "procedure_dose"), [REVIEW, ACKNOWLEDGED, CLOSED]),
        (("--severity", "review"), [REVIEW, UNDATED]),
        (("--operator", "CD01"), [REVIEW, UNDATED]),
        (("--operator", "CN03"), []),
        (("--procedure", "p1p1p1p1q"), [URGENT, REVIEW]),
        (("--procedure", "p1p1p1p1"), [URGENT, REVIEW]),
        (("--procedure", "A1"), [URGENT, REVIEW]),
        (("--procedure", "1.2.3", "--rule", "patient_dose"), [URGENT]),
        (("--since", "2024-03-30"), [URGENT, UNDATED]),
    ],
)
def test_the_list_has_the_findings_that_pass_every_filter(
    site: Path, options: tuple[str, ...], expected: list[str]
) -> None:
    assert listed(site, *options) == expected


def test_the_csv_has_the_columns_and_cells_of_the_worklist(site: Path) -> None:
    with duckdb.connect(site / "data/published/current/warehouse.duckdb", read_only=True) as con:
        file = worklist(con)
    assert call("alert", "list", "--site", site, "--csv").stdout_bytes == file.encode()
    assert next(csv.reader(io.StringIO(file))) == [*ANSWER, *CONTEXT]


def test_the_table_has_a_line_per_finding_with_an_identifier_of_its_own(site: Path) -> None:
    output = call("alert", "list", "--site", site).output.splitlines()
    assert [line.split()[0] for line in output] == ["ID", "aaaaaaaa1", "bbbbbbbb", "cccccccc", "aaaaaaaa2", "4"]
    assert "Hemodinámica 1" in output[1]
    assert "A1" in output[1]
    assert "123.4 uSv" in output[1]


def test_an_answer_counts_in_the_list_at_once(site: Path) -> None:
    assert call(*answer(site, "acknowledge", "bbbbbbbb")).exit_code == 0
    assert call(*answer(site, "close", "procedure:p2p2p2p2q")).exit_code == 0
    assert listed(site) == [URGENT, UNDATED, TWIN]
    states = call("alert", "list", "--site", site, "--state", "answered").output.splitlines()[1:-1]
    assert [line.split()[2] for line in states] == ["acknowledged", "closed", "closed"]


def test_the_latest_answer_counts_then_the_last_line(site: Path) -> None:
    rows = (
        "closed,Ana,2024-03-31,x",
        "acknowledged,Ana,2024-03-30,x",
        "closed,Ana,,x",
        "acknowledged,Ana,2024-03-31,x",
    )
    write(site, LOG, "\n".join([HEADER, *(f"{URGENT[:10]},{row}" for row in rows)]) + "\n")
    (line,) = call("alert", "list", "--site", site, "--state", "answered", "--severity", "urgent").output.splitlines()[
        1:-1
    ]
    assert line.split()[2] == "acknowledged"


@pytest.mark.parametrize(
    ("command", "options", "expected"),
    [
        ("close", ("--procedure", "A1"), [(URGENT, "closed"), (REVIEW, "closed")]),
        ("close", ("--procedure", "p2p2p2p2"), [(ACKNOWLEDGED, "closed")]),
        ("acknowledge", ("--procedure", "p1p1p1p1q", "--rule", "patient_dose"), [(URGENT, "acknowledged")]),
        ("explain", ("--operator", "CD01", "--rule", "procedure_dose"), [(REVIEW, "explained")]),
        (
            "false-alarm",
            ("--operator", "CD01", "--rule", "procedure_dose"),
            [(REVIEW, "false_alarm"), (ACKNOWLEDGED, "false_alarm")],
        ),
    ],
)
def test_a_selection_answers_what_it_shows(
    site: Path, command: str, options: tuple[str, ...], expected: list[tuple[str, str]]
) -> None:
    dry = call(*answer(site, command, *options, "--dry-run"))
    assert not (site / LOG).exists()
    result = call(*answer(site, command, *options))
    assert result.exit_code == 0, result.output
    assert [(row["alert_id"], row["action"]) for row in answered(site)] == expected
    shown = [line.split()[0] for line in result.output.splitlines()[1:-1]]
    assert shown == [line.split()[0] for line in dry.output.splitlines()[1:-1]]
    assert len(shown) == len(expected)
    assert all(alert_id.startswith(short) for (alert_id, _), short in zip(expected, shown, strict=True))
    assert check_site(site) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--procedure", "p3p3p3p3q"), "no finding to answer; nothing was written"),
        (("--operator", "CN03", "--rule", "dose_limit"), "no finding to answer; nothing was written"),
        (("--operator", "CD01", "--rule", "pregnancy"), "no finding to answer; nothing was written"),
        (("--operator", "CD99", "--rule", "dose_limit"), "no operator 'CD99'"),
        (("--procedure", "A2"), "names 2 procedures: p2p2p2p2q, p3p3p3p3q"),
        (("--procedure", "p1p1p1p"), "no procedure 'p1p1p1p'"),
        (("--procedure", ""), "no procedure ''"),
    ],
)
def test_an_empty_or_unknown_selection_is_refused(site: Path, options: tuple[str, ...], said: str) -> None:
    assert said in refused(*answer(site, "close", *options))
    assert not (site / LOG).exists()


def test_a_selection_is_answered_once(site: Path) -> None:
    options = ("--procedure", "A1")
    assert call(*answer(site, "close", *options)).exit_code == 0
    assert "(2 were answered already)" in refused(*answer(site, "close", *options))
    assert len(answered(site)) == 2


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--operator", "CD01"),
        ("--rule", "dose_limit"),
        ("aaaaaaaa1", "--procedure", "A1"),
        ("aaaaaaaa1", "--operator", "CD01", "--rule", "dose_limit"),
        ("aaaaaaaa1", "--dry-run"),
    ],
)
def test_half_a_selection_or_two_is_a_wrong_command(site: Path, options: tuple[str, ...]) -> None:
    assert call(*answer(site, "close", *options)).exit_code == 2
    assert not (site / LOG).exists()


@pytest.mark.parametrize("command", ["acknowledge", "explain", "close", "false-alarm"])
def test_the_log_is_replaced_whole_with_its_mode(site: Path, command: str) -> None:
    """What reads the file while it is written, or after a crash, has the old rows or all of the new ones."""
    before = f"{HEADER}\n{CLOSED},closed,Ana,2024-03-01,seen\n"
    log = write(site, LOG, before)
    log.chmod(0o664)
    opened = site / "opened"
    os.link(log, opened)
    assert call(*answer(site, command, "aaaaaaaa1")).exit_code == 0
    assert opened.read_text("utf-8") == before
    assert len(answered(site)) == 2
    assert stat.S_IMODE(log.stat().st_mode) == 0o664
    assert sorted(path.name for path in log.parent.glob(".*")) == []


def test_a_log_that_is_a_link_stays_a_link(site: Path) -> None:
    elsewhere = write(site, "elsewhere.csv", HEADER + "\n")
    (site / LOG).symlink_to(elsewhere)
    assert call(*answer(site, "close", "aaaaaaaa1")).exit_code == 0
    assert (site / LOG).is_symlink()
    assert "aaaaaaaa1" in elsewhere.read_text("utf-8")


def test_two_that_answer_at_once_wait_for_each_other(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestration.console.alert_log.LOCK_PATIENCE_S", 0.1)
    with answering(load_site(site)):
        assert "Another command is writing answers" in refused(*answer(site, "close", "aaaaaaaa1"))
    assert call(*answer(site, "close", "aaaaaaaa1")).exit_code == 0


@given(st.sets(st.text("ab", min_size=9, max_size=12).map(lambda text: text.rjust(14, "a")), min_size=1))
def test_short_identifiers_name_one_finding_each(alert_ids: set[str]) -> None:
    for alert_id, short in short_ids(sorted(alert_ids)).items():
        assert len(short) >= 8
        assert [other for other in alert_ids if other.startswith(short)] == [alert_id]
        assert len(short) == 8 or len([other for other in alert_ids if other.startswith(short[:-1])]) > 1
