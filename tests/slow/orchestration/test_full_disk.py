"""A disk that is full and an account without rights: one sentence each, and the next run with room goes on."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from support import paths
from support.small_site import KEY, RATES, export, make_site, write

PRODUCT = paths.ROOT
NOBODY = 65534
# The command line with the first look at the disk left out: what happens where it could not be known before.
UNCHECKED = (
    "from orchestration import disk_space; disk_space.room_needed = lambda _: 0\n"
    "from orchestration.cli import app; app()"
)


def call(*arguments: object, code: str = "from orchestration.cli import app; app()", before: Sequence[str] = ()) -> str:
    """What a command that must fail says."""
    environ = os.environ | KEY | {"PYTHONPATH": os.pathsep.join([str(PRODUCT), *sys.path])}
    command = [*before, sys.executable, "-P", "-c", code, *map(str, arguments)]
    result = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, cwd="/")
    said = result.stdout + result.stderr
    assert "Traceback" not in said, said
    assert result.returncode == 1, said
    return " ".join(said.split())


def succeeds(*arguments: object) -> None:
    environ = os.environ | KEY | {"PYTHONPATH": os.pathsep.join([str(PRODUCT), *sys.path])}
    command = [sys.executable, "-P", "-c", "from orchestration.cli import app; app()", *map(str, arguments)]
    subprocess.run(command, env=environ, check=True, capture_output=True, cwd="/")


@pytest.fixture
def site(tmp_path: Path) -> Path:
    root = make_site(tmp_path / "site")
    write(root, f"{RATES}/day.csv", export(1, 2))
    return root


@pytest.fixture
def small_disk(site: Path) -> Iterator[Path]:
    """A file system of its own in the place of data_dir."""
    (site / "data").mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=60m", "tmpfs", site / "data"], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    yield site / "data"
    subprocess.run(["umount", site / "data"], check=True)


def resize(disk: Path, size: str) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", disk], check=True)


def test_a_night_without_room_is_refused_before_it_begins(site: Path, small_disk: Path) -> None:
    said = call("run", "--site", site, "--as-of", "2024-03-31")
    assert f"The disk of {small_disk} is full: " in said
    assert "a night needs about 12" in said
    assert not (small_disk / "build/doseledger.duckdb").exists()
    assert "GB. Make room" in call("doctor", "--site", site)


def test_a_disk_that_fills_on_the_way_is_one_sentence_and_the_next_run_goes_on(site: Path, small_disk: Path) -> None:
    """In loading, in Dagster's records, in the tables, in the publication: by how much room there is."""
    for size in ("1m", "9m", "40m"):
        resize(small_disk, size)
        said = call("run", "--site", site, "--as-of", "2024-03-31", code=UNCHECKED)
        assert said.count("✗") == 1, (size, said)
        assert f"The disk of {small_disk} is full: " in said, (size, said)
    resize(small_disk, "400m")
    succeeds("run", "--site", site, "--as-of", "2024-03-31")
    assert (small_disk / "published/current").resolve().is_dir()


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="needs root, who gives rights up")
def test_an_account_without_rights_gets_a_sentence(site: Path) -> None:
    succeeds("run", "--site", site, "--as-of", "2024-03-31")
    for path in (site / "data", *(site / "data").rglob("*")):
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    rights = "-dac_override,-dac_read_search,-fowner"
    without = ("setpriv", f"--bounding-set={rights}", f"--inh-caps={rights}")
    before = sorted(site.rglob("*"))
    for command in ("run", "rebuild", "status", "publications", "rollback", "doctor"):
        said = call(command, "--site", site, before=without)
        assert "✗" in said
        assert str(site / "data") in said, (command, said)
    assert sorted(site.rglob("*")) == before
