"""The systemd units of docs/operations as systemd reads them; their commands are those of the command line."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from support import paths
from typer.testing import CliRunner

from orchestration.cli import app

UNITS = sorted((paths.ROOT / "docs" / "operations" / "systemd").iterdir())
PROGRAM = "/opt/doseledger/.venv/bin/doseledger"
verify = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not on this machine")


def verified(folder: Path, replaced: str, by: str) -> subprocess.CompletedProcess[str]:
    """What systemd finds of the units, with this machine's own program and account in place of the installed ones."""
    for unit in UNITS:
        text = unit.read_text("utf-8").replace(PROGRAM, "/bin/true").replace("User=doseledger", "User=root")
        (folder / unit.name).write_text(text.replace(replaced, by), "utf-8")
    command = ["systemd-analyze", "verify", *(str(folder / unit.name) for unit in UNITS)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@verify
def test_systemd_finds_nothing_wrong(tmp_path: Path) -> None:
    result = verified(tmp_path, "", "")
    assert (result.returncode, result.stderr) == (0, "")


@verify
@pytest.mark.parametrize("line", ["OnCalendar=*-*-* 03:30", "ExecStart=/bin/true ui --site /srv/doseledger/site"])
def test_systemd_finds_what_is_wrong(tmp_path: Path, line: str) -> None:
    name, _, _ = line.partition("=")
    result = verified(tmp_path, line, f"{name}=nonsense")
    assert result.stderr


def test_the_commands_are_those_of_the_command_line() -> None:
    commands = [
        line.split("=", 1)[1].split()
        for unit in UNITS
        for line in unit.read_text("utf-8").splitlines()
        if line.startswith("ExecStart=")
    ]
    assert sorted(command[1] for command in commands) == ["receive", "run", "ui"]
    for program, name, *options in commands:
        assert program == PROGRAM
        known = CliRunner().invoke(app, [name, "--help"]).output
        assert all(option in known for option in options if option.startswith("--"))
