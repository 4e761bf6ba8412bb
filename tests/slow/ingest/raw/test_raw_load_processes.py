"""Loading in processes of its own: killed in the middle, kept out by another, and over the whole test hospitals."""

from __future__ import annotations

import csv
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support import paths
from support.small_site import (
    KEY,
    RATES,
    SHARED,
    content,
    deserved,
    export,
    files,
    mixed_inbox,
    rows,
    run,
    the_key,
    write,
)
from typer.testing import CliRunner

from ingest.raw.build_db import AlreadyRunning, BuildUnavailable, open_build, run_lock
from ingest.site.config import load_site
from orchestration.cli import app

TESTS = paths.TESTS
ENVIRON = os.environ | {"PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent)])}

KILLED = """
import os, signal, sys
from pathlib import Path
from ingest.raw import loader as raw_load
from support.small_site import run
raw_load.TOGETHER |= {"dose_report": 4, "dosimeter": 4}  # rows: two files, each in the ledger and with its size
signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell runs in the background ignores it
run(Path(sys.argv[1]), lambda done, total, path: os.kill(os.getpid(), int(sys.argv[2])) if done == 3 else None)
"""


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_process_leaves_whole_files_only(tmp_path: Path, sent: signal.Signals) -> None:
    whole, killed = mixed_inbox(tmp_path / "whole"), mixed_inbox(tmp_path / "killed")
    run(whole)
    command = [sys.executable, "-c", KILLED, str(killed), str(int(sent))]
    process = subprocess.run(command, env=ENVIRON, check=False, timeout=60)
    assert process.returncode == -sent
    assert len(files(killed)) == 2, "the third was read, and not yet written"
    run(killed)
    assert content(killed) == content(whole)


HOLDER = """
import sys
from pathlib import Path
from support.small_site import the_key
from ingest.raw.build_db import open_build, run_lock
from ingest.site.config import load_site
site = load_site(Path(sys.argv[1]))
with run_lock(site), open_build(site, the_key()):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_run_is_refused_while_one_is_going_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = mixed_inbox(tmp_path)
    monkeypatch.setattr("ingest.raw.build_db.PATIENCE_S", 0.1)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(root)], env=ENVIRON, **pipes) as holder:  # type: ignore[call-overload]
        assert holder.stdout.readline() == b"held\n"
        site = load_site(root)
        with pytest.raises(AlreadyRunning, match="Another run of site 'small' is going on"), run_lock(site):
            pass
        with pytest.raises(BuildUnavailable, match="in use by another process"), open_build(site, the_key()):
            pass
        holder.communicate()
    with run_lock(site), run_lock(site), open_build(site, the_key()):
        pass


def test_a_rollback_while_a_run_is_going_on_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = mixed_inbox(tmp_path)
    monkeypatch.setattr("ingest.raw.build_db.PATIENCE_S", 0.1)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(root)], env=ENVIRON, **pipes) as holder:  # type: ignore[call-overload]
        assert holder.stdout.readline() == b"held\n"
        for more in ([], ["--all"]):
            refused = CliRunner().invoke(app, ["rollback", "--site", str(root), *more], env=KEY)
            assert refused.exit_code == 1
            assert "Another run of site 'small' is going on" in " ".join(refused.output.split())
        holder.communicate()


def test_with_the_data_folder_of_yesterday_the_next_run_reads_what_came_since(tmp_path: Path) -> None:
    root, backup = mixed_inbox(tmp_path / "site"), tmp_path / "backup"
    run(root)
    shutil.copytree(root / "data", backup)
    write(root, f"{RATES}/later.csv", export(7, day=6))
    run(root)
    wanted = content(root)
    shutil.rmtree(root / "data")
    shutil.copytree(backup, root / "data")
    assert content(root) != wanted
    run(root)
    assert content(root) == wanted


@pytest.mark.parametrize("hospital", ["hospital_clean", "hospital_tiny"])
def test_the_files_of_a_test_hospital_get_the_status_of_its_truth(tmp_path: Path, hospital: str) -> None:
    if not (SHARED / hospital).exists():
        pytest.skip("the shared test hospitals are not beside this checkout")
    root = tmp_path / hospital
    shutil.copytree(SHARED / hospital, root, copy_function=shutil.copyfile)
    for folder in [root, *(path for path in root.rglob("*") if path.is_dir())]:
        folder.chmod(0o755)  # the shared ones are read-only
    (root / "site.yaml").write_text((root / "site.yaml").read_text().replace("simhosp", "small"))
    dose_reports, exports = run(root)
    with (SHARED / f"{hospital}_truth/truth_file.csv").open() as lines:
        truth = {row["path"]: row for row in csv.DictReader(lines)}
    found = rows(root, "select path, status, rows_rejected from raw.file")
    assert {path for path, *_ in found} == truth.keys()
    for path, status, rejected in found:
        expected = truth[path]["expected_status"].replace("superseded", "loaded")  # versions are judged in dbt
        assert status in deserved(path, expected), path
        assert rejected == int(truth[path]["rows_rejected"]), path
    assert (dose_reports.rows_loaded,) == rows(root, "select count(*) from raw.irradiation_event")[0]
    assert (exports.rows_loaded,) == rows(root, "select count(*) from raw.dose_record")[0]
    phi = (SHARED / f"{hospital}_truth/truth_phi.csv").read_text("utf-8").split()[1:]
    before = content(root)
    assert [name for name in phi if name in repr(before)] == []
    run(root)
    assert content(root) == before
