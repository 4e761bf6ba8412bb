"""The real web server under attack from another page: refused; the UI's own calls work; SIGTERM ends everything."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import quote

import pytest
from support.small_site import KEY, make_site

from ingest.pseudonymise import load_key
from ingest.raw.build_db import open_build
from ingest.raw.reference_load import load_reference
from ingest.site.config import load_site

PATIENCE_S = 240
LAUNCH = (
    'mutation{launchRun(executionParams:{selector:{repositoryLocationName:"orchestration.definitions",'
    'repositoryName:"__repository__",pipelineName:"nightly"},mode:"default"}){__typename}}'
)
JSON = {"Content-Type": "application/json"}


class Ui:
    """A running UI, addressed byte by byte."""

    def __init__(self, port: int) -> None:
        self.port = port

    def ask(self, method: str, path: str, headers: dict[str, str], body: str | None = None) -> tuple[int, str]:
        """Status and text of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request(method, path, body, {"Host": f"127.0.0.1:{self.port}"} | headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()

    def query(self, text: str, **headers: str) -> tuple[int, str]:
        """A GraphQL query as the UI sends it, with other headers."""
        own = {"Origin": f"http://127.0.0.1:{self.port}", "Sec-Fetch-Site": "same-origin"}
        return self.ask("POST", "/graphql", JSON | own | headers, json.dumps({"query": text}))

    def upgrade(self, origin: str) -> int:
        """Status of a WebSocket's handshake."""
        wish = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
        key = {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Protocol": "graphql-ws"}
        return self.ask("GET", "/graphql", wish | key | {"Origin": origin})[0]


@pytest.fixture(scope="module")
def ui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ui]:
    root = make_site(tmp_path_factory.mktemp("ui") / "site")
    site, key = load_site(root), load_key("small", KEY)
    with open_build(site, key) as con:
        load_reference(con, site)  # so that nothing is new, and the daemon's sensor starts no run
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-c", "from orchestration.cli import app; app()", "ui", "--site", root, "--port", port]
    environment = os.environ | KEY | {"PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(list(map(str, command)), env=environment, start_new_session=True)
    try:
        running, end = Ui(port), time.monotonic() + PATIENCE_S
        while True:
            assert process.poll() is None
            assert time.monotonic() < end
            with suppress(OSError):
                running.ask("GET", "/server_info", {})
                break
            time.sleep(0.5)
        yield running
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        end = time.monotonic() + 30
        with pytest.raises(ProcessLookupError):  # no process of its group is left
            while time.monotonic() < end:
                os.killpg(process.pid, 0)
                time.sleep(0.5)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_the_pages_and_queries_of_the_ui_work(ui: Ui) -> None:
    status, page = ui.ask("GET", "/", {})
    assert (status, "<html" in page) == (200, True)
    status, answer = ui.query("{version}")
    assert (status, json.loads(answer)["data"]["version"][:2]) == (200, "1.")
    assert ui.query("{version}", Host=f"localhost:{ui.port}", Origin=f"http://localhost:{ui.port}")[0] == 200
    assert ui.upgrade(f"http://127.0.0.1:{ui.port}") == 101


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "attacker.example"}, 400),
        ({"Host": "attacker.example:3000"}, 400),
        ({"Origin": "http://attacker.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content-Type": "multipart/form-data; boundary=x"}, 415),
    ],
)
def test_a_foreign_page_starts_no_run(ui: Ui, headers: dict[str, str], status: int) -> None:
    assert ui.query(LAUNCH, **headers)[0] == status


def test_a_get_starts_no_run(ui: Ui) -> None:
    assert ui.ask("GET", f"/graphql?query={quote(LAUNCH)}", {})[0] == 405
    assert ui.ask("GET", "/", {"Host": "attacker.example"})[0] == 400
    status, answer = ui.query("{runsOrError{... on Runs{results{id}}}}")
    assert (status, json.loads(answer)["data"]["runsOrError"]["results"]) == (200, [])


@pytest.mark.parametrize("origin", ["http://attacker.example", "null"])
def test_a_foreign_page_opens_no_web_socket(ui: Ui, origin: str) -> None:
    assert ui.upgrade(origin) == 403
