"""`doseledger ui` as a service manager starts it: one for a site, and it ends in time with all that it started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

from support.orthanc import free_port
from support.small_site import KEY, make_site

PATIENCE_S = 240.0
COMMAND = (sys.executable, "-c", "from orchestration.cli import app; app()", "ui")


def start(root: Path, port: int, *before: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*before, *COMMAND, "--site", str(root), "--port", str(port)],
        env={**os.environ, **KEY},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def refusal(root: Path, port: int) -> str:
    process = start(root, port)
    output, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1, output
    assert b"Traceback" not in output
    return " ".join(output.decode().split())


def started_by(root: Path) -> set[int]:
    """Processes that know the site by their environment or their arguments."""
    found = set()
    for place in Path("/proc").iterdir():
        if place.name.isdigit() and int(place.name) != os.getpid():
            with suppress(OSError):
                known = (place / "environ").read_bytes() + (place / "cmdline").read_bytes()
                if str(root).encode() in known and (place / "stat").read_text().split()[2] != "Z":
                    found.add(int(place.name))
    return found


def answers(port: int) -> bool:
    with suppress(OSError):
        return bool(urllib.request.urlopen(f"http://127.0.0.1:{port}/server_info", timeout=5).status == 200)
    return False


def test_one_ui_for_a_site_and_sigterm_ends_all_of_it_within_ten_seconds(tmp_path: Path) -> None:
    root, port = make_site(tmp_path / "the_site"), free_port()
    ui = start(root, port, "nohup")
    try:
        end = time.monotonic() + PATIENCE_S
        while not answers(port):
            assert ui.poll() is None and time.monotonic() < end
            time.sleep(1)
        assert "is open already" in refusal(root, free_port())
        other = make_site(tmp_path / "other")
        assert f"Port {port} of 127.0.0.1 cannot be used" in refusal(other, port)
        assert len(started_by(root)) > 3  # the command, the server, the daemon, and what these started
        ui.send_signal(signal.SIGTERM)
        begun = time.monotonic()
        ui.wait(PATIENCE_S)
        assert time.monotonic() - begun < 10
        assert started_by(root) == set()
    finally:
        for process in started_by(root):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        ui.wait()
