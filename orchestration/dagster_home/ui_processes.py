"""The Dagster UI and its daemon as two processes: Ctrl-C, SIGTERM, or the end of one, ends both."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

DEFINITIONS = ("-m", "orchestration.definitions")
PATIENCE_S = 20.0  # for a run of the daemon to end by itself
LOOK_S = 0.5


def serve(port: int, environment: Mapping[str, str], *, read_only: bool) -> int:
    """Serves until it is stopped; the exit code of the process that ended first, 0 if both were stopped."""
    stopped = False

    def stop(_signal: int, _frame: FrameType | None) -> None:
        nonlocal stopped
        stopped = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    options = ["--read-only"] if read_only else []
    server = [sys.executable, "-P", "-m", "orchestration.dagster_home.ui_server", str(port), *DEFINITIONS, *options]
    daemon = [str(Path(sys.executable).with_name("dagster-daemon")), "run", *DEFINITIONS]
    children = [subprocess.Popen(command, env=environment) for command in (server, daemon)]  # noqa: S603 - ours
    try:
        while not stopped and all(child.poll() is None for child in children):
            time.sleep(LOOK_S)
        return next((child.returncode for child in children if child.returncode), 0)
    finally:
        _end(children)


def _end(children: list[subprocess.Popen[bytes]]) -> None:
    for child in children:
        child.terminate()
    deadline = time.monotonic() + PATIENCE_S
    for child in children:
        try:
            child.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
