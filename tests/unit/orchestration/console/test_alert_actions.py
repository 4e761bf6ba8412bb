"""Answers to findings: appended whole or not at all, only for findings that are published, in words when refused."""

from __future__ import annotations

import csv
import io
import resource
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import pytest
from support.small_site import make_site, write
from unit.orchestration.console.test_cli import call, refused

from ingest.site.config import check_site, load_site
from ingest.site.reference import TABLES_BY_NAME

LOG = "reference/alert_log.csv"
HEADER = "alert_id,action,by,on,comment"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A site whose current publication has one finding, a1a1a1a1bbbb."""
    root = make_site(tmp_path / "site")
    folder = root / "data/published/runs/r1"
    (folder / "restricted").mkdir(parents=True)
    with duckdb.connect(folder / "restricted/restricted.duckdb") as con:
        con.execute(
            "set TimeZone = 'UTC'; create schema ledger; create schema alerts;"
            " create table alerts.alert as select 'a1a1a1a1bbbb' as alert_id, 'p1' as procedure_id"
        )
        con.execute(
            "create table ledger.publication as"
            " select 'r1' as run_id, date '2024-03-31' as as_of, 'f' as input_fingerprint,"
            " timestamptz '2024-03-31 21:30:00+00' as published_at,"
            " 1 as checks_passed, null::varchar as previous_run_id"
        )
    (root / "data/published/current").symlink_to("runs/r1")
    return root


def answer(
    site: Path, *arguments: str, alert_id: str = "a1a1a1a1", comment: str = "screen, moved"
) -> tuple[object, ...]:
    command = arguments or ("close",)
    return ("alert", *command, alert_id, "--site", site, "--by", "Zoë", "--comment", comment)


def rows(site: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((site / LOG).read_text("utf-8-sig"))))


def test_an_answer_is_a_valid_row_of_a_new_file(site: Path) -> None:
    result = call(*answer(site, "acknowledge"))
    assert result.exit_code == 0, result.output
    assert [(row["alert_id"], row["action"], row["by"], row["comment"]) for row in rows(site)] == [
        ("a1a1a1a1", "acknowledged", "Zoë", "screen, moved")
    ]
    assert check_site(site) == []


def test_answers_are_added_to_what_is_there(site: Path) -> None:
    for command in ("acknowledge", "close"):
        assert call(*answer(site, command)).exit_code == 0
    assert [row["action"] for row in rows(site)] == ["acknowledged", "closed"]
    assert [row["line"] for row in load_site(site).reference["alert_log"].rows] == [2, 3]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_the_order_of_columns_and_lines_of_the_file_are_kept(site: Path, encoding: str, end: str) -> None:
    before = f"comment,alert_id,note,action,by,on{end or chr(10)}seen,a0a0a0a0,x,explained,Ana,2024-03-01{end}"
    write(site, LOG, before.encode(encoding))
    assert call(*answer(site)).exit_code == 0
    assert (site / LOG).read_bytes().startswith(before.encode(encoding))
    assert [(row["alert_id"], row["action"], row["note"]) for row in rows(site)] == [
        ("a0a0a0a0", "explained", "x"),
        ("a1a1a1a1", "closed", ""),
    ]
    assert check_site(site) == []


def test_a_comment_is_one_cell_whatever_it_holds(site: Path) -> None:
    assert call(*answer(site, comment='he said "no",\n then left')).exit_code == 0
    assert rows(site)[0]["comment"] == 'he said "no", then left'


def test_an_answer_is_of_today(site: Path) -> None:
    assert call(*answer(site)).exit_code == 0
    assert rows(site)[0]["on"] == str(datetime.now(ZoneInfo("Europe/Madrid")).date())


def test_what_was_published_for_a_past_date_is_answered_as_of_it(site: Path) -> None:
    with duckdb.connect(site / "data/published/current/restricted/restricted.duckdb") as con:
        con.execute("update ledger.publication set published_at = '2024-03-31 22:30:00+00'")  # 1 April in Madrid
    assert call(*answer(site)).exit_code == 0
    assert rows(site)[0]["on"] == "2024-03-31"


def test_an_unknown_finding_is_refused_and_nothing_is_written(site: Path) -> None:
    said = refused(*answer(site, alert_id="a9a9a9a9"))
    assert "r1 has no finding 'a9a9a9a9'" in said
    assert not (site / LOG).exists()


@pytest.mark.parametrize("alert_id", ["a1a1a1a1", "a1a1a1a1bb", "a1a1a1a1bbbb", "procedure:p1"])
def test_a_finding_is_named_by_8_characters_or_by_its_procedure(site: Path, alert_id: str) -> None:
    assert call(*answer(site, alert_id=alert_id)).exit_code == 0
    assert rows(site)[0]["alert_id"] == alert_id
    assert check_site(site) == []


@pytest.mark.parametrize("alert_id", ["a1a1a1a", "a", "procedure:p", "procedure:", "a1a1a1a1bbbbc"])
def test_fewer_characters_and_other_procedures_name_nothing(site: Path, alert_id: str) -> None:
    assert "has no finding" in refused(*answer(site, alert_id=alert_id))


def test_characters_that_two_findings_have_in_common_name_neither(site: Path) -> None:
    with duckdb.connect(site / "data/published/current/restricted/restricted.duckdb") as con:
        con.execute("insert into alerts.alert values ('a1a1a1a1cccc', 'p1')")
    assert "begin of 2 findings" in refused(*answer(site))
    assert call(*answer(site, alert_id="procedure:p1")).exit_code == 0


def test_a_row_with_fewer_characters_is_an_error_of_check(site: Path) -> None:
    write(site, LOG, f"{HEADER}\na1a1a1a,closed,Ana,2024-03-01,seen\n")
    assert "8 characters" in str(check_site(site))


def test_an_empty_comment_is_refused(site: Path) -> None:
    assert "--comment is empty" in refused(*answer(site, comment=" "))


def test_without_a_publication_there_is_nothing_to_answer(tmp_path: Path) -> None:
    assert "Nothing was published yet" in refused(*answer(make_site(tmp_path)))


def test_a_file_that_cannot_be_read_is_named_and_stays_as_it_was(site: Path) -> None:
    broken = HEADER + '\na0a0a0a0,closed,Ana,2024-03-01,"open\n'
    write(site, LOG, broken)
    assert LOG in refused(*answer(site))
    assert (site / LOG).read_text() == broken


def test_the_columns_are_those_that_are_read() -> None:
    assert HEADER.split(",") == [column.name for column in TABLES_BY_NAME["alert_log"].columns]


def worklist(site: Path, *rows_: str, header: str = f"{HEADER},rule", separator: str = ",") -> Path:
    return write(site, "filled.csv", "\n".join([header, *rows_]).replace(",", separator) + "\n")


def test_a_filled_in_worklist_is_taken_once(site: Path) -> None:
    file = worklist(site, "a1a1a1a1bbbb,closed,Ana,2024-03-30,screen moved,dose_limit", "a0a0a0a0,,,,,other")
    result = call("alert", "import", file, "--site", site)
    assert "1 answers added, 0 were there already, 1 rows are not answered yet" in " ".join(result.output.split())
    assert [tuple(row.values()) for row in rows(site)] == [
        ("a1a1a1a1bbbb", "closed", "Ana", "2024-03-30", "screen moved")
    ]
    again = call("alert", "import", file, "--site", site)
    assert "0 answers added, 1 were there already" in " ".join(again.output.split())
    assert len(rows(site)) == 1
    assert check_site(site) == []


def test_an_answer_without_a_date_is_taken_once_whatever_the_day(site: Path) -> None:
    write(site, LOG, f"{HEADER}\na1a1a1a1bbbb,closed,Ana,2024-03-01,seen\n")
    done = call("alert", "import", worklist(site, "a1a1a1a1bbbb,closed,Ana,,seen,x"), "--site", site)
    assert "0 answers added, 1 were there already" in " ".join(done.output.split())
    assert len(rows(site)) == 1


def test_blank_lines_and_cells_of_several_lines_move_no_row(site: Path) -> None:
    file = worklist(site, "", 'a0a0a0a0,,,,,"two\nlines"', "a0a0a0a1,,,,,x", "a1a1a1a1bbbb,closed,Ana,,seen,x")
    done = call("alert", "import", file, "--site", site)
    assert "1 answers added, 0 were there already, 2 rows are not" in " ".join(done.output.split())


@pytest.mark.parametrize("comment", ["screen  moved", '"screen\nmoved"', " screen moved "])
def test_blanks_and_line_breaks_make_no_second_answer(site: Path, comment: str) -> None:
    file = worklist(site, f"a1a1a1a1bbbb,closed,Ana  B,,{comment},x")
    for expected in ("1 answers added", "0 answers added, 1 were there already"):
        done = call("alert", "import", file, "--site", site)
        assert expected in " ".join(done.output.split())
    assert [(row["by"], row["comment"]) for row in rows(site)] == [("Ana B", "screen moved")]


def test_an_answer_that_was_written_by_hand_with_more_blanks_is_the_same(site: Path) -> None:
    write(site, LOG, f"{HEADER}\na1a1a1a1bbbb,closed,Ana,2024-03-01,screen   moved\n")
    done = call("alert", "import", worklist(site, "a1a1a1a1bbbb,closed,Ana,,screen moved,x"), "--site", site)
    assert "0 answers added, 1 were there already" in " ".join(done.output.split())


def test_the_beginning_and_the_whole_of_an_identifier_are_one_finding(site: Path) -> None:
    file = worklist(site, "a1a1a1a1,closed,Ana,,seen,x", "a1a1a1a1bbbb,closed,Ana,,seen,x")
    done = call("alert", "import", file, "--site", site)
    assert "1 answers added, 1 were there already" in " ".join(done.output.split())


def test_a_procedure_is_not_one_whose_identifier_begins_alike(site: Path) -> None:
    with duckdb.connect(site / "data/published/current/restricted/restricted.duckdb") as con:
        con.execute("insert into alerts.alert values ('b2b2b2b2cccc', 'p10')")
    file = worklist(site, "procedure:p1,closed,Ana,,seen,x", "procedure:p10,closed,Ana,,seen,x")
    done = call("alert", "import", file, "--site", site)
    assert "2 answers added" in " ".join(done.output.split())


def test_an_unknown_column_is_refused_by_name(site: Path) -> None:
    file = worklist(site, "a1a1a1a1bbbb,closed,Ana,,seen,x", header="alert_id,action,by,on,comment,coment")
    assert "line 1, field coment: is no column of a worklist" in " ".join(
        refused("alert", "import", file, "--site", site).split()
    )
    assert not (site / LOG).exists()


def test_on_a_full_disk_the_log_stays_as_it_was(site: Path) -> None:
    """A limit of the size of files stands for the disk: the write that meets it is short, the next one fails."""
    before = f"{HEADER}\na0a0a0a0,closed,Ana,2024-03-01,seen\n"
    write(site, LOG, before)
    file = worklist(site, f"a1a1a1a1bbbb,closed,Ana,,{'x' * 500},x")
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 100, usual[1]))
    try:
        result = call("alert", "import", file, "--site", site)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
    assert result.exit_code != 0
    assert (site / LOG).read_text("utf-8") == before


def test_a_worklist_saved_with_semicolons_is_read(site: Path) -> None:
    file = worklist(site, "a1a1a1a1bbbb,false_alarm,Ana,,test exposure,x", separator=";")
    assert call("alert", "import", file, "--site", site).exit_code == 0
    assert [(row["action"], row["comment"]) for row in rows(site)] == [("false_alarm", "test exposure")]
    assert rows(site)[0]["on"] == str(datetime.now(ZoneInfo("Europe/Madrid")).date())


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("a9a9a9a9,closed,Ana,2024-03-30,seen,x", "line 3, field alert_id"),
        ("a1a1a1a1bbbb,done,Ana,2024-03-30,seen,x", "line 3, field action"),
        ("a1a1a1a1bbbb,closed,Ana,30/03/2024,seen,x", "line 3, field on"),
        ("a1a1a1a1bbbb,closed,,2024-03-30,seen,x", "line 3, field by"),
        ("a1a1a1a1bbbb,closed,Ana,2024-03-30,,x", "line 3, field comment"),
        ("a1a1a1a1bbbb,,Ana,,seen,x", "line 3, field action"),
    ],
)
def test_one_bad_row_and_nothing_is_taken(site: Path, row: str, said: str) -> None:
    file = worklist(site, "a1a1a1a1bbbb,closed,Zoë,2024-03-30,screen moved,x", row)
    assert said in " ".join(refused("alert", "import", file, "--site", site).split())
    assert not (site / LOG).exists()


def test_a_file_without_the_columns_is_refused_by_name(site: Path) -> None:
    file = worklist(site, "1,2", header="one,two")
    assert "filled.csv" in refused("alert", "import", file, "--site", site)
