"""Debian's Chromium for tests of pages, over its DevTools protocol; and a web server that sends the pages' policy.

What is expected of a page is the tests'.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import http.server
import json
import os
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from websockets.sync.client import ClientConnection, connect

from support import paths

PROGRAM = shutil.which("chromium")
POLICY = "default-src 'self'; style-src 'self'; img-src 'self' data:"
# From npm, never part of the repository; `npm pack` of exactly this.
AXE, AXE_SHA256 = "axe-core@4.14.1", "e6b0ce02b84d892e2e33e403485e7f3d6c29e2be6df65daf44d89ba564139745"
AXE_FILE = paths.TEST_DATA / "axe.min.js"
LOGS = ("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled")


def needs_chromium() -> None:
    """Skips a test where Chromium is missing; in CI that is a failure."""
    if PROGRAM is None:
        missing = "Chromium is not installed (Debian: chromium)"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)


def axe_core(folder: Path) -> str:
    """The source of axe-core, fetched from npm once; skips the test where that cannot be had."""
    if not AXE_FILE.exists():
        npm = shutil.which("npm")
        if npm is None:
            pytest.skip("npm is not installed, and axe-core was not fetched before")
        fetched = subprocess.run(
            [npm, "pack", "--silent", AXE], cwd=folder, capture_output=True, text=True, timeout=120
        )
        if fetched.returncode:
            pytest.skip(f"axe-core cannot be fetched from npm: {fetched.stderr.strip()[-200:]}")
        [package] = folder.glob("axe-core-*.tgz")
        assert hashlib.sha256(package.read_bytes()).hexdigest() == AXE_SHA256
        with tarfile.open(package) as archive:
            source = archive.extractfile("package/axe.min.js")
            assert source
            AXE_FILE.write_bytes(source.read())
    return AXE_FILE.read_text("utf-8")


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a folder on loopback, with the policy of the pages as a header."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def end_headers(self) -> None:
            self.send_header("Content-Security-Policy", POLICY)
            super().end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing: the browser's own log is what is tested."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Browser:
    """One tab; ``logs`` and ``requests`` are of all pages since they were last cleared."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._number = 0
        self.logs: list[str] = []
        self.requests: list[str] = []
        self._loaded = False
        for domain in ("Log", "Runtime", "Page", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **values: Any) -> dict[str, Any]:
        """Calls a method of the protocol."""
        self._number += 1
        self._connection.send(json.dumps({"id": self._number, "method": method, "params": values}))
        while (answer := self._receive()).get("id") != self._number:
            pass
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        result: dict[str, Any] = answer["result"]
        return result

    def open(self, url: str, width: int = 1440, *, dark: bool = False) -> None:
        """Opens a page and waits until it has loaded."""
        self.resize(width)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self._loaded = False
        self.call("Page.navigate", url=url)
        while not self._loaded:
            self._receive()

    def resize(self, width: int) -> None:
        """Sets the width of the window, px."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)

    def evaluate(self, script: str) -> Any:
        """The value of a script in the page, or of the promise that it returns."""
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(result["exceptionDetails"])
        return result["result"].get("value")

    def press(self, key: str, code: int) -> None:
        """Presses and releases a key."""
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    def picture(self, file: Path, tallest: float = 16000) -> None:
        """Writes the page as PNG, of a longer one its beginning."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], tallest), "scale": 1}
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
        file.write_bytes(base64.b64decode(shot["data"]))

    def _receive(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self._connection.recv(timeout=60))
        method = message.get("method")
        if method in LOGS:
            self.logs.append(json.dumps(message["params"])[:500])
        elif method == "Network.requestWillBeSent":
            self.requests.append(message["params"]["request"]["url"])
        elif method == "Page.loadEventFired":
            self._loaded = True
        return message


@contextmanager
def chromium(folder: Path) -> Iterator[Browser]:
    """A headless Chromium with a profile of its own below ``folder``."""
    needs_chromium()
    assert PROGRAM
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-port=0"]
    process = subprocess.Popen(
        [PROGRAM, *options, f"--user-data-dir={folder / 'profile'}", "about:blank"], stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr
        address = next(line.split()[-1] for line in process.stderr if "DevTools listening on" in line)
        threading.Thread(target=process.stderr.read, daemon=True).start()  # so that its pipe never fills
        tabs = requests.get(f"http://{address.split('/')[2]}/json", timeout=30).json()
        url = next(tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page")
        with connect(url, max_size=None) as connection:
            yield Browser(connection)
    finally:
        process.terminate()
        process.wait(timeout=30)
