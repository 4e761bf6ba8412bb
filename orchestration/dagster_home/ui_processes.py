"""The Dagster UI and its daemon as two processes: Ctrl-C, SIGTERM, or the end of one, ends both and their children."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from filelock import FileLock, Timeout

from ingest.problems import UserError

DEFINITIONS = ("-m", "orchestration.definitions")
PATIENCE_S = 4.0  # for servers and a run of the daemon to end by themselves; service managers wait 10
LOOK_S = 0.5


@contextmanager
def only_ui_of_site(home: Path, port: int) -> Iterator[None]:
    """Keeps a second UI of the site from starting.

    Args:
        home: Dagster's folder of the site.
        port: on which the UI is to listen.

    Raises:
        UserError: there is one, or another program listens on the port.
    """
    lock = FileLock(home / "ui.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise UserError(f"The UI of this site is open already (its lock: {lock.lock_file}): end it first.") from None
    try:
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind(("127.0.0.1", port))
            except OSError as error:
                reason = f"Port {port} of 127.0.0.1 cannot be used ({error.strerror}): choose another by --port."
                raise UserError(reason) from None
        yield
    finally:
        lock.release()


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
    # A session of its own for each: what they start ends with them, and a terminal's Ctrl-C reaches this process only.
    children = [
        subprocess.Popen(command, env=environment, start_new_session=True)  # noqa: S603 - ours
        for command in (server, daemon)
    ]
    try:
        while not stopped and all(child.poll() is None for child in children):
            time.sleep(LOOK_S)
        return next((child.returncode for child in children if child.returncode), 0)
    finally:
        _end(children)


def _end(children: list[subprocess.Popen[bytes]]) -> None:
    for child in children:
        _signal(child, signal.SIGTERM)
    deadline = time.monotonic() + PATIENCE_S
    for child in children:
        with suppress(subprocess.TimeoutExpired):
            child.wait(max(0.0, deadline - time.monotonic()))
    for child in children:  # also of one that has ended: its own children may not have
        _signal(child, signal.SIGKILL)
        child.wait()


def _signal(child: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """To a process and everything that it started."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, number)
