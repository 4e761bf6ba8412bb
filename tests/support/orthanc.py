"""A real PACS for tests: Orthanc on loopback with its own storage, ports and users; started, stopped and killed here.

Only the server is here: what is stored in it and what is expected of it are the tests'.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests

PROGRAM = shutil.which("Orthanc") or shutil.which("Orthanc", path="/usr/sbin:/usr/local/sbin")
PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
USER, PASSWORD = "reader", "hunter2"
LOGIN = {"PACS_USER": USER, "PACS_PASSWORD": PASSWORD}


def needs_orthanc() -> None:
    """Skips a test where Orthanc is missing; in CI that is a failure."""
    if PROGRAM is None or not PLUGIN.exists():
        missing = "Orthanc with its DICOMweb plugin is not installed (Debian: orthanc, orthanc-dicomweb)"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Orthanc:
    """One Orthanc; ``http`` and ``dimse`` are its ports, kept over restarts."""

    folder: Path
    settings: dict[str, Any] = field(default_factory=dict)
    http: int = field(default_factory=free_port)
    dimse: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it, or starts it again on what it has stored."""
        self.folder.mkdir(parents=True, exist_ok=True)
        config = {
            "StorageDirectory": str(self.folder / "db"),
            "IndexDirectory": str(self.folder / "db"),
            "HttpPort": self.http,
            "DicomPort": self.dimse,
            "DicomAet": "ORTHANC",
            "DicomAlwaysAllowFind": True,
            "DicomAlwaysAllowGet": True,
            "DicomCheckModalityHost": False,
            "DicomModalities": {"us": ["DOSELEDGER", "127.0.0.1", 1]},
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": True,
            "RegisteredUsers": {USER: PASSWORD},
            "OverwriteInstances": False,
            "Plugins": [str(PLUGIN)],
            "ConcurrentJobs": 1,
            "LimitFindResults": 0,
        } | self.settings
        path = self.folder / "orthanc.json"
        path.write_text(json.dumps(config), "utf-8")
        assert PROGRAM is not None
        with (self.folder / "orthanc.log").open("ab") as log:
            self.process = subprocess.Popen([PROGRAM, str(path)], stdout=log, stderr=log)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                if self.get("/system").ok:
                    return
            except requests.ConnectionError:
                time.sleep(0.05)
        raise AssertionError((self.folder / "orthanc.log").read_text("utf-8", "replace")[-3000:])

    def kill(self) -> None:
        """As a power cut ends it."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    @property
    def url(self) -> str:
        """Its own REST interface."""
        return f"http://127.0.0.1:{self.http}"

    def get(self, path: str) -> requests.Response:
        """An answer of its REST interface."""
        return requests.get(self.url + path, auth=(USER, PASSWORD), timeout=10)

    def store(self, content: bytes) -> str:
        """Stores one object; returns Orthanc's own name of it."""
        answer = requests.post(f"{self.url}/instances", data=content, auth=(USER, PASSWORD), timeout=10)
        answer.raise_for_status()
        return str(answer.json()["ID"])

    def dicomweb(self, lookback_days: int = 3) -> dict[str, object]:
        """The part of site.yaml that pulls from it by DICOMweb."""
        names = {"username_env": "PACS_USER", "password_env": "PACS_PASSWORD"}
        return {"url": f"{self.url}/dicom-web", "lookback_days": lookback_days} | names

    def cget(self, lookback_days: int = 3) -> dict[str, object]:
        """The part of site.yaml that pulls from it by C-GET."""
        return {"host": "127.0.0.1", "port": self.dimse, "called_ae": "ORTHANC", "lookback_days": lookback_days}


@contextmanager
def orthanc(folder: Path, **settings: Any) -> Iterator[Orthanc]:
    """A running Orthanc."""
    needs_orthanc()
    server = Orthanc(folder, settings)
    try:
        server.start()
        yield server
    finally:
        server.kill()
