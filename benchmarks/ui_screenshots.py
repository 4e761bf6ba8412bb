"""Pictures of the Dagster UI for docs/engineer/ui.md: a real `doseledger ui` in a headless Chromium.

Only opening pages and taking pictures live here. Chromium is steered by its DevTools protocol, since a page of the UI
is ready when its data has come, not when it has loaded.

    python benchmarks/ui_screenshots.py SITE FOLDER [PAGE ...]
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

WIDTH_PX = 1360
PATIENCE_S = 180
LAST_SUCCESS = "{ runsOrError(filter: {statuses: [SUCCESS]}, limit: 1) { ... on Runs { results { runId } } } }"
OPEN_FIRST = "[...document.querySelectorAll('button, a')].find(it => it.innerText.startsWith('[Show')).click()"


@dataclass(frozen=True)
class Page:
    """A page of the UI: its path, text that is there once it is ready, its height, script that brings it into view."""

    path: str
    ready: str
    height_px: int = 860
    script: str = ""


# Whose machine it was is nobody's business.
WITHOUT_PATH = """
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) walker.currentNode.data = walker.currentNode.data.replaceAll({path}, '');
"""
HIDE_NAVIGATION = """
[...document.querySelectorAll('button, a')].filter(it => it.innerText === 'Hide navigation').forEach(it => it.click());
"""

PAGES = {
    "asset_graph": Page("/asset-groups", "publication", script=HIDE_NAVIGATION),
    "asset": Page("/assets/ledger/clock_offset?view=overview", "Row count", 1400),
    "charts": Page("/assets/charts?view=overview", "linkage by day", script=OPEN_FIRST),
    "checks": Page("/assets/gate?view=checks&checkDetail=plausible", "failing_rows"),
    "run": Page("/runs/{run_id}", "Success", 1000),
}

# The browser connects to the UI only.
CHROMIUM = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)


def main(site: Path, folder: Path, names: Sequence[str]) -> None:
    """Take the pictures of these pages."""
    folder.mkdir(parents=True, exist_ok=True)
    with ui(site) as url, browser() as tab:
        run_id = graphql(url, LAST_SUCCESS)["runsOrError"]["results"][0]["runId"]
        for name in names:
            page = PAGES[name]
            picture = tab.picture(url + page.path.format(run_id=run_id), page, f"{site.resolve().parent}/")
            file = folder / f"ui_{name}.png"
            file.write_bytes(picture)
            print(f"{file}: {len(picture) / 1000:.0f} kB")


@contextmanager
def ui(site: Path) -> Iterator[str]:
    """`doseledger ui` on a free port, stopped with its whole process group at the end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    program = Path(sys.executable).with_name("doseledger")
    process = subprocess.Popen(
        [program, "ui", "--site", site, "--port", str(port)], start_new_session=True, stderr=subprocess.DEVNULL
    )
    try:
        wait_for(lambda: process.poll() is None and graphql(url, "{ version }"), "the UI")
        yield url
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


@contextmanager
def browser() -> Iterator[Tab]:
    """A Chromium with a profile of its own and one tab."""
    program = shutil.which("chromium")
    if program is None:
        raise SystemExit("Chromium is needed (Debian: chromium).")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [program, *CHROMIUM, f"--user-data-dir={profile}", "about:blank"],
            start_new_session=True,
            stderr=subprocess.DEVNULL,
        )
        try:
            active = Path(profile, "DevToolsActivePort")
            wait_for(lambda: active.exists() and active.read_text().count("\n"), "Chromium")
            with urllib.request.urlopen(f"http://127.0.0.1:{active.read_text().split()[0]}/json") as answer:
                (target,) = [tab for tab in json.load(answer) if tab["type"] == "page"]
            with connect(target["webSocketDebuggerUrl"], max_size=None) as connection:
                yield Tab(connection)
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()


class Tab:
    """One tab, controlled by the DevTools protocol."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.numbers = itertools.count(1)

    def picture(self, url: str, page: Page, path: str) -> bytes:
        """PNG of a page once its text is there and nothing has changed for a while, without a path of this machine."""
        size = {"width": WIDTH_PX, "height": page.height_px, "deviceScaleFactor": 1, "mobile": False}
        self._ask("Emulation.setDeviceMetricsOverride", **size)
        self._ask("Page.navigate", url=url)
        wait_for(lambda: page.ready in self._text(), f"'{page.ready}' on {page.path}")
        if page.script:
            self._evaluate(page.script)
        before = ""
        while before != (before := self._text()):
            time.sleep(3)
        self._evaluate(WITHOUT_PATH.replace("{path}", json.dumps(path)))
        return base64.b64decode(self._ask("Page.captureScreenshot", format="png")["data"])

    def _text(self) -> str:
        return str(self._evaluate("document.body ? document.body.innerText : ''"))

    def _evaluate(self, script: str) -> object:
        return self._ask("Runtime.evaluate", expression=script, awaitPromise=True)["result"].get("value")

    def _ask(self, method: str, **parameters: object) -> dict[str, Any]:
        number = next(self.numbers)
        self.connection.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while (answer := json.loads(self.connection.recv())).get("id") != number:
            pass  # events
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return dict(answer["result"])


def graphql(url: str, query: str) -> dict[str, Any]:
    """The UI's own answer; empty as long as nobody listens."""
    request = urllib.request.Request(  # noqa: S310
        f"{url}/graphql", json.dumps({"query": query}).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request) as answer:  # noqa: S310
            return dict(json.load(answer)["data"])
    except urllib.error.URLError:
        return {}


def wait_for(condition: Callable[[], object], what: str) -> None:
    """Returns once the condition holds."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > end:
            raise SystemExit(f"{what} did not come in {PATIENCE_S} s.")
        time.sleep(0.5)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:] or list(PAGES))
