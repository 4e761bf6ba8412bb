"""The command line on a person's mistakes: one clear sentence each, a non-zero exit, no traceback, nothing lost."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import pytest
from support.small_site import KEY, RATES, export, make_site, run, write
from typer.testing import CliRunner, Result

from ingest.raw.build_db import run_lock
from ingest.site.config import load_site
from orchestration.cli import app

COMMANDS = (
    *("init", "check", "describe", "trace", "run", "rebuild", "status", "score", "publications", "rollback", "doctor"),
    *("demo", "pull", "receive", "chart", "ui"),
)


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOSELEDGER_KEY", KEY["DOSELEDGER_KEY"])


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def refused(*arguments: object) -> str:
    """What a refused call said; a traceback would come as an exception other than SystemExit."""
    result = call(*arguments)
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit)
    assert "Traceback" not in result.output
    return " ".join(result.output.split())


@pytest.mark.parametrize("command", COMMANDS)
def test_help_tells_units_and_exit_codes(command: str) -> None:
    result = call(command, "--help")
    assert result.exit_code == 0
    assert "Exit codes" in result.output
    assert "µSv" in result.output


def test_a_new_site_passes_its_check(tmp_path: Path) -> None:
    assert call("init", tmp_path / "my_hospital").exit_code == 0
    assert call("check", "--site", tmp_path / "my_hospital").exit_code == 0
    assert "not empty" in refused("init", tmp_path / "my_hospital")


def test_version_is_that_of_the_package() -> None:
    result = call("--version")
    assert (result.exit_code, result.output.strip()) == (0, f"doseledger {version('doseledger')}")


def test_check_of_a_new_site_names_what_to_fill_in(tmp_path: Path) -> None:
    call("init", tmp_path / "my_hospital")
    said = " ".join(call("check", "--site", tmp_path / "my_hospital").output.split())
    for file in ("rooms", "operators", "dosimeters"):
        assert f"reference/{file}.csv has no row yet: add a row for each" in said
    assert "sources/ has no description yet" in said
    assert "inbox/dose_reports/ has no dose report yet" in said
    write(make_site(tmp_path / "used"), f"{RATES}/a.csv", export(1))
    said = call("check", "--site", tmp_path / "used").output
    assert "no row yet" not in said
    assert "no export yet" not in said


def test_check_looks_into_exports_that_no_run_has_read(tmp_path: Path) -> None:
    root = make_site(tmp_path / "site")
    write(root, f"{RATES}/a.csv", export(1))
    write(root, f"{RATES}/b.csv", "Badge;When;Rate;Hub\nB1;x;1;BASE\n")
    result = call("check", "--site", root)
    said = " ".join(result.output.split())
    assert f"{RATES}/b.csv would be quarantined:" in said
    assert "Time" in said
    assert "a.csv" not in said
    run(root)
    assert "b.csv" not in call("check", "--site", root).output  # `status` names it


def test_what_follows_from_one_mistake_is_a_number(tmp_path: Path) -> None:
    """A typing error in a person's row refuses the person's badges and every entry of the logbook that names them."""
    entries = "".join(f"1.2.{number},,OP1,nurse\n" for number in range(30))
    logbook = f"study_instance_uid,accession_number,operator_id,role\n{entries}1.3,,OP9,nurse\n1.4,,OP9,nurse\n"
    operators = "operator_id,name,grade\nOP1,Ana,consultent\nOP2,Zoë,nurse\n"
    said = refused("check", "--site", make_site(tmp_path, operators=operators, logbook=logbook))
    assert "reference/operators.csv line 2, field grade: 'consultent' must be one of" in said
    assert said.count("OP1") == 0
    assert "reference/logbook.csv line 32, field operator_id: no operator_id 'OP9' is in a valid row" in said
    assert "correct it here (and 1 more)" in said
    assert "31 more rows are refused because they name a row that is refused" in said  # 30 entries and the badge


@pytest.mark.parametrize("command", ["check", "run", "status", "rebuild", "ui"])
def test_no_site_yaml(tmp_path: Path, command: str) -> None:
    assert "site.yaml" in refused(command, "--site", tmp_path)


@pytest.mark.parametrize("command", ["check", "run"])
def test_a_wrong_field_is_named_with_its_line(tmp_path: Path, command: str) -> None:
    site = make_site(tmp_path, site="site_id: small\nname: Small\ntimezon: Europe/Madrid\n")
    said = refused(command, "--site", site)
    assert "site.yaml line 3" in said
    assert "timezon" in said


@pytest.mark.parametrize("command", ["check", "run"])
def test_an_unreadable_csv_is_named(tmp_path: Path, command: str) -> None:
    site = make_site(tmp_path, rooms=b"room_id,name\nCATH1,Sala \xff\n")
    assert "reference/rooms.csv" in refused(command, "--site", site)


def test_check_tells_every_problem_at_once(tmp_path: Path) -> None:
    site = make_site(
        tmp_path,
        operators="operator_id,name,grade\nOP1,Ana,chief\nOP2,Zoë,nurse\n",
        dosimeters="dosimeter_serial,worn_at,operator_id,room_id,valid_from,valid_to\nB1,ankle,OP1,,2024-01-01,\n",
    )
    said = refused("check", "--site", site)
    assert "reference/operators.csv line 2, field grade" in said
    assert "reference/dosimeters.csv line 2, field worn_at" in said


def test_a_data_folder_that_cannot_be_written(tmp_path: Path) -> None:
    site = make_site(tmp_path / "site", site="site_id: small\nname: Small\ndata_dir: in_the_way/data\n")
    write(site, "in_the_way", "a file where a folder should be")
    assert "in_the_way" in refused("run", "--site", site)


def test_a_second_run_while_one_is_going_on(tmp_path: Path) -> None:
    site = make_site(tmp_path)
    with run_lock(load_site(site)):
        # The lock is reentrant within a process, so the second run is a process of its own.
        import subprocess
        import sys

        program = Path(sys.executable).with_name("doseledger")
        done = subprocess.run([program, "run", "--site", site], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "run" in done.stderr


def test_another_key_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ingest.pseudonymise import load_key
    from ingest.raw.build_db import open_build

    site = make_site(tmp_path)
    with open_build(load_site(site), load_key("small", KEY)):
        pass
    monkeypatch.setenv("DOSELEDGER_KEY", "ffffffffffffffffffffffffffffffff")
    said = refused("run", "--site", site)
    assert "key" in said
    assert "ffff" not in said


def test_a_demo_does_not_overwrite(tmp_path: Path) -> None:
    write(tmp_path, "demo/notes.txt", "mine")
    assert "demo" in refused("demo", tmp_path / "demo")
    assert refused("demo", tmp_path / "new", "--preset", "enormous")
