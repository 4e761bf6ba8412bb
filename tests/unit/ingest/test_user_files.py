"""What a user may put in place of a file: a pipe, a device or something endless is one sentence, never a wait."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.small_site import KEY, RATES, export, make_site, write
from typer.testing import CliRunner, Result

from ingest.problems import UserError
from ingest.pseudonymise import load_key
from ingest.site.reference import TABLES, Table
from ingest.time_limit import time_limit
from ingest.user_files import CSV_BYTES, YAML_BYTES
from orchestration.cli import app

SITE_FILES = ("site.yaml", "sources/rates.yaml", *(table.file for table in TABLES))
KINDS = ("a pipe", "a device", "a folder", "larger than")


def put(path: Path, kind: str) -> None:
    """Something that is no file to read, in the place of ``path``."""
    path.unlink(missing_ok=True)
    if kind == "a pipe":
        os.mkfifo(path)
    elif kind == "a device":
        path.symlink_to("/dev/zero")
    elif kind == "a folder":
        path.mkdir()
    else:
        with path.open("wb") as sparse:
            sparse.truncate(1 + (YAML_BYTES if path.suffix == ".yaml" else CSV_BYTES))


def call(*arguments: object) -> Result:
    """A command that must not wait: what opens a pipe without a writer would never end."""
    with time_limit(120):
        return CliRunner(env=KEY).invoke(app, [str(argument) for argument in arguments])


def refused(*arguments: object) -> str:
    result = call(*arguments)
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit), result.exception
    return " ".join(result.output.split())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SITE_FILES)
def test_a_site_file_that_is_no_file_is_named(tmp_path: Path, name: str, kind: str) -> None:
    root = make_site(tmp_path)
    put(root / name, kind)
    said = refused("check", "--site", root)
    assert f"{name}: cannot be read (it is " in said
    assert kind in said


@pytest.mark.parametrize("kind", ["a pipe", "a device"])
@pytest.mark.parametrize("command", ["run", "status", "rebuild", "doctor", "publications", "ui"])
def test_every_command_says_so(tmp_path: Path, command: str, kind: str) -> None:
    root = make_site(tmp_path)
    put(root / "reference/rooms.csv", kind)
    assert "reference/rooms.csv: cannot be read" in refused(command, "--site", root)


@pytest.mark.parametrize("kind", ["a pipe", "a device", "a folder"])
def test_an_export_that_is_checked_or_described(tmp_path: Path, kind: str) -> None:
    root = make_site(tmp_path)
    file = write(root, f"{RATES}/day.csv", export(1))
    put(file, kind)
    assert kind in refused("describe", file)
    assert kind in refused("check", "--site", root, "--file", file)


@pytest.mark.parametrize("kind", ["a pipe", "a device", "a folder"])
def test_a_key_file(tmp_path: Path, kind: str) -> None:
    put(tmp_path / "key", kind)
    with pytest.raises(UserError, match=kind):
        load_key("small", {"DOSELEDGER_KEY_FILE": str(tmp_path / "key")})


# --- control characters --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("character", ["\x1b", "\x07", "\x9b", "\u202e", "\u2028", "a\rb", "\x7f"])
@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_each_text_of_a_reference_file_is_refused_by_line_and_field(
    tmp_path: Path, table: Table, character: str
) -> None:
    """Of each column, known or not, and of the header."""
    names = [column.name for column in table.columns] + ["remark"]
    root = make_site(tmp_path)
    rows = ["".join(f'"x{character}y",' if other == name else "," for other in names)[:-1] for name in names]
    write(root, table.file, "\n".join([",".join(names), *rows, ""]))
    said = refused("check", "--site", root)
    for line, name in enumerate(names, start=2):
        # A line end inside quotes is one of the file, too: the lines after it have other numbers.
        place = f"{table.file} line {line}, field {name}: " if "\r" not in character else f", field {name}: "
        assert place in said, (place, said)
    assert "holds the control character" in said
    assert not any(sign in said for sign in "\x1b\x07\x9b\u202e\x7f")


def test_a_header_is_refused_too(tmp_path: Path) -> None:
    root = make_site(tmp_path, rooms="room_id,name,\x1b[31m\nCATH1,Lab,x\n")
    assert "reference/rooms.csv line 1, field \\x1b[31m: holds the control character" in refused(
        "check", "--site", root
    )


def test_a_line_end_in_a_cell_is_no_control_character(tmp_path: Path) -> None:
    root = make_site(
        tmp_path, operators='operator_id,name,grade,remark\nOP1,"Ana\nRuiz",consultant,"a\tb"\nOP2,Z,nurse,\n'
    )
    assert call("check", "--site", root).exit_code == 0


def test_nothing_that_is_printed_steers_the_terminal(tmp_path: Path) -> None:
    """Names of files and cells of exports may hold anything; each control character of them is written out."""
    root = make_site(tmp_path)
    write(root, f"{RATES}/a\x1b[2Jb.csv", export(1, 2, badge="B\x1b]0;x\x07"))
    write(root, "reference/room\x1b[31ms.csv", "x\n")
    for arguments in (
        ("check", "--site", root),
        ("check", "--site", root, "--file", root / f"{RATES}/a\x1b[2Jb.csv"),
        ("describe", root / f"{RATES}/a\x1b[2Jb.csv"),
        ("status", "--site", root),
        ("check", "--site", tmp_path / "no\x1b[31msite"),
    ):
        result = call(*arguments)
        assert not any(sign in result.output for sign in "\x1b\x07"), result.output
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
