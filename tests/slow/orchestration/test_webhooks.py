"""Webhooks on a real server on loopback: each event once, again where the server was down, the address a secret."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from support.orthanc import free_port
from support.small_site import KEY, RATES, export, make_site, write
from typer.testing import CliRunner

from orchestration.cli import app
from orchestration.failures import notify_operations
from orchestration.letters.operations import Trouble

TOKEN = "s3cr3t-t0ken"
SITE = (
    "site_id: small\nname: Small\nmail: {operations: [ops@hospital.example]}\n"
    "webhooks:\n  - {url_env: ALL_HOOK, on: [failed, published]}\n  - {url_env: FAILED_HOOK, on: [failed]}\n"
)


class Receiver:
    """What a server was posted: path, content type and body of each request."""

    def __init__(self) -> None:
        self.posts: list[tuple[str, str, dict[str, Any]]] = []
        self.status = 204

    def events(self, path: str) -> list[str]:
        """The events that were posted to a path."""
        return [body["event"] for at, _, body in self.posts if at.startswith(path)]


@contextmanager
def receiver(port: int) -> Iterator[Receiver]:
    received = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            received.posts.append((self.path, self.headers["Content-Type"], body))
            self.send_response(received.status)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield received
        server.shutdown()


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> int:
    port = free_port()
    monkeypatch.setenv("DOSELEDGER_KEY", KEY["DOSELEDGER_KEY"])
    monkeypatch.delenv("DOSELEDGER_SMTP_URL", raising=False)
    monkeypatch.setenv("ALL_HOOK", f"http://127.0.0.1:{port}/all?token={TOKEN}")
    monkeypatch.setenv("FAILED_HOOK", f"http://127.0.0.1:{port}/failed/{TOKEN}")
    return port


def night(root: Path) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["run", "--site", str(root), "--as-of", "2024-03-31"])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, " ".join(result.output.split())


def test_a_publication_is_posted_once_and_when_the_server_is_back(tmp_path: Path, port: int) -> None:
    root = make_site(tmp_path / "site", site=SITE)
    code, said = night(root)  # no server
    assert code == 0
    assert "webhooks: the address in ALL_HOOK cannot be posted to (ConnectionError)" in said
    with receiver(port) as received:
        for _ in range(2):
            assert night(root)[0] == 0  # nothing new
        ((path, kind, body),) = received.posts
        assert (path, kind) == (f"/all?token={TOKEN}", "application/json")
        (published,) = (root / "data/published/runs").iterdir()
        assert body == {
            "event": "published",
            "site_id": "small",
            "site": "Small",
            "run_id": published.name,
            "as_of": "2024-03-31",
            "pages_url": None,
            "text": f"Small: published {published.name}, as of 2024-03-31",
        }
        write(root, f"{RATES}/new.csv", export(3600, 7200))
        assert night(root)[0] == 0
        assert received.events("/all") == ["published", "published"]
        assert received.events("/failed") == []
    assert TOKEN not in said
    assert not any(TOKEN.encode() in file.read_bytes() for file in (root / "data").rglob("*") if file.is_file())


def test_a_failed_run_is_posted_once_a_day_without_patients(tmp_path: Path, port: int) -> None:
    root = make_site(tmp_path / "site", site=SITE)
    (root / "reference" / "rooms.csv").unlink()
    with receiver(port) as received:
        for _ in range(2):
            code, said = night(root)
            assert code == 1
            assert TOKEN not in said
        assert received.events("/all") == received.events("/failed") == ["failed"]
        ((_, _, body),) = [post for post in received.posts if post[0].startswith("/failed")]
        assert body["steps"] == [
            {"step": "site", "sentences": [line for line in body["text"].splitlines() if "rooms.csv" in line]}
        ]
        notify_operations(root, [Trouble("gate", ("x, e.g. patient_key=0a1b2c.",))])
        assert "patient_key=***" in received.posts[-1][2]["text"]
        assert "0a1b2c" not in received.posts[-1][2]["text"]


@pytest.mark.parametrize(
    ("address", "status", "refusal"),
    [
        (None, 204, "the variable is not set"),
        (f"no-address-{TOKEN}", 204, "cannot be posted to (MissingSchema)"),
        (f"http://127.0.0.1:PORT/{TOKEN}", 302, "answered with HTTP status 302"),
        (f"http://127.0.0.1:PORT/{TOKEN}", 500, "answered with HTTP status 500"),
    ],
)
def test_an_address_that_takes_nothing_is_named_by_its_variable(
    tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch, address: str | None, status: int, refusal: str
) -> None:
    root = make_site(tmp_path / "site", site=SITE.splitlines()[0] + "\nname: S\nwebhooks: [{url_env: H, on: [failed]}]")
    if address:
        monkeypatch.setenv("H", address.replace("PORT", str(port)))
    else:
        monkeypatch.delenv("H", raising=False)
    with receiver(port) as received:
        received.status = status
        notes = notify_operations(root, [Trouble("gate", ("x",))])
        assert len(received.posts) == (1 if status != 204 else 0)  # a redirect is not followed
    (note,) = [note for note in notes if note.startswith("webhooks")]
    assert note.startswith("webhooks: the address in H ")
    assert refusal in note
    assert TOKEN not in note


def test_check_names_a_wrong_webhook_with_its_line(tmp_path: Path) -> None:
    wrong = f"webhooks:\n  - {{url_env: 'https://x/{TOKEN}', on: [failed]}}\n  - {{urlenv: H, on: [fail]}}\n"
    root = make_site(tmp_path / "site", site=f"site_id: small\nname: Small\n{wrong}")
    result = CliRunner().invoke(app, ["check", "--site", str(root)])
    said = " ".join(result.output.split())
    assert result.exit_code == 1
    assert TOKEN not in said
    assert "site.yaml line 4, field webhooks.0.url_env: must be the name of an environment variable" in said
    assert "site.yaml line 5, field webhooks.1.urlenv: is not a known key; did you mean url_env?" in said
    assert "site.yaml line 5, field webhooks.1.on.0: must be 'failed' or 'published', not 'fail'" in said
