"""Servers that drip, redirect, never end or lie about who they are: each a named failure within its time and bytes."""

from __future__ import annotations

import json
import socketserver
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import date
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydicom.dataset import Dataset
from support.odd_servers import certified, http_server, ok, pacs
from support.orthanc import free_port
from support.small_site import make_site
from support.sr_builder import as_file, ordinary_report

from ingest.site.config import Site, load_site
from ingest.sources import association, budget, dicomweb, dimse, http
from ingest.sources.pull import Pulled, pull_all

DAY = date(2024, 3, 4)
LIMIT_S = 1.0


def pulled(root: Path, **source: Any) -> Pulled:
    site: Site = load_site(make_site(root, site=yaml.safe_dump({"site_id": "small", "dose_reports": source})))
    (result,) = pull_all(site, DAY, DAY, {})
    return result


def pulled_by_web(root: Path, url: str) -> Pulled:
    return pulled(root, dicomweb={"url": url, "lookback_days": 0})


def pulled_by_get(root: Path, port: int) -> Pulled:
    return pulled(root, dimse={"host": "127.0.0.1", "port": port, "called_ae": "PACS", "lookback_days": 0})


@pytest.fixture(params=["answer", "night"])
def short(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A short time: for an answer, or for the whole night."""
    if request.param == "answer":
        for module in (http, dimse):
            monkeypatch.setattr(module, "ANSWER_S", LIMIT_S)
    else:
        monkeypatch.setattr(budget, "NIGHT_S", LIMIT_S)
    return str(request.param)


def drip(content: bytes, pause_s: float = 0.2) -> Iterator[bytes]:
    """A byte at a time; ends with the test, for the connection is cut."""
    for at in range(len(content)):
        yield content[at : at + 1]
        time.sleep(pause_s)


def endless(begin: bytes, chunk: bytes = bytes(1 << 16)) -> Iterator[bytes]:
    yield begin
    for _ in range(1 << 14):  # a gigabyte is as good as no end
        yield chunk


def in_time(work: Callable[[], Pulled], limit_s: float = LIMIT_S + 2) -> str:
    """The only failure of a pull that must end in time."""
    started = time.monotonic()
    result = work()
    assert time.monotonic() - started < limit_s
    (sentence,) = result.failures
    assert result.failed + result.unanswered > 0
    return sentence


DRIPS: dict[str, bytes] = {
    "status line": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 40,
    "headers": b"HTTP/1.1 200 OK\r\nX-Padding: " + b"x" * 200,
    "continue": b"HTTP/1.1 100 Continue\r\n\r\n" * 40,
}


@pytest.mark.parametrize("what", DRIPS)
@pytest.mark.usefixtures("short")
def test_dripped_headers_end_in_time(tmp_path: Path, what: str) -> None:
    with http_server(lambda _: drip(DRIPS[what])) as url:
        said = in_time(lambda: pulled_by_web(tmp_path, url))
    assert url in said
    assert f"{LIMIT_S:.0f} s" in said


@pytest.mark.parametrize("header", ["Content-Length: 200", "Transfer-Encoding: chunked", "Connection: close"])
@pytest.mark.usefixtures("short")
def test_a_dripped_body_ends_in_time_and_its_beginning_is_no_answer(tmp_path: Path, header: str) -> None:
    body = b"1\r\n[\r\n1\r\n]\r\n" + b"1\r\n \r\n" * 40 if "chunked" in header else b"[]" + b" " * 198
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/dicom+json\r\n{header}\r\n\r\n".encode()

    def answer(_: str) -> Iterator[bytes]:
        yield head
        yield from drip(body)

    with http_server(answer) as url:
        assert url in in_time(lambda: pulled_by_web(tmp_path, url))


@contextmanager
def raw_server(talk: Callable[[Any], None]) -> Iterator[int]:
    """A server that does with a connection whatever it likes; gives its port."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):  # the client has had enough
                talk(self.request)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = allow_reuse_address = True

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield int(server.server_address[1])
        server.shutdown()


def test_a_dripped_tls_handshake_ends_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "CONNECT_S", LIMIT_S)

    def talk(connection: Any) -> None:
        for part in drip(b"\x16\x03\x03\x40\x00" + bytes(200)):
            connection.sendall(part)

    with raw_server(talk) as port:
        in_time(lambda: pulled_by_web(tmp_path, f"https://127.0.0.1:{port}/dicom-web"))


def redirect(location: str) -> bytes:
    return f"HTTP/1.1 302 Found\r\nLocation: {location}\r\n".encode()


def test_the_endless_body_of_a_redirect_is_not_read(tmp_path: Path) -> None:
    sent = count()

    def answer(request: str) -> Iterator[bytes]:
        if "/there" in request:
            yield ok(b"[]")
            return
        yield redirect("/there") + b"\r\n"
        for chunk in endless(b""):
            next(sent)
            yield chunk

    with http_server(answer) as url:
        result = pulled_by_web(tmp_path, url)
    assert (result.studies, result.failures) == (0, [])  # it was followed on its own server
    assert next(sent) < 1000


@pytest.mark.parametrize("where", ["http://localhost:{port}/x", "https://127.0.0.1:{port}/x", "http://127.0.0.1:1/x"])
def test_a_redirect_to_another_server_is_refused_by_name(tmp_path: Path, where: str) -> None:
    asked: list[str] = []

    def answer(request: str) -> bytes:
        asked.append(request)
        return redirect(target) + b"Content-Length: 0\r\n\r\n"

    with http_server(answer) as url:
        target = where.format(port=url.split(":")[2].split("/")[0])
        said = in_time(lambda: pulled_by_web(tmp_path, url))
    assert target.removesuffix("/x") in said
    assert len(asked) == 1


@pytest.mark.parametrize("target", ["", "http://[", "\x1b[2J", "/same"])
def test_an_odd_redirect_and_a_circle_end(tmp_path: Path, target: str) -> None:
    with http_server(lambda _: redirect(target) + b"Content-Length: 0\r\n\r\n") as url:
        said = in_time(lambda: pulled_by_web(tmp_path, url))
    assert said.isprintable()


def test_new_studies_on_every_page_for_ever_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dicomweb, "MOST_ANSWERS", 1000)
    numbers = count()

    def answer(_: str) -> bytes:
        page = [{"0020000D": {"vr": "UI", "Value": [f"1.2.{next(numbers)}"]}} for _ in range(200)]
        return ok(json.dumps(page).encode())

    with http_server(answer) as url:
        assert "more than 1000" in in_time(lambda: pulled_by_web(tmp_path, url), 10)


@pytest.mark.parametrize("level", ["series", "instances"])
def test_new_series_and_objects_for_ever_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, level: str) -> None:
    monkeypatch.setattr(dicomweb, "MOST_ANSWERS", 1000)
    numbers = count()

    def answer(request: str) -> bytes:
        asked = request.split()[1].split("?")[0].rpartition("/")[2]
        tag = {"studies": "0020000D", "series": "0020000E", "instances": "00080018"}[asked]
        uids = [f"1.2.{next(numbers)}" for _ in range(200)] if asked == level else ["1.2.3"]
        return ok(json.dumps([{tag: {"vr": "UI", "Value": [uid]}} for uid in uids]).encode())

    with http_server(answer) as url:
        assert "more than 1000" in in_time(lambda: pulled_by_web(tmp_path, url), 10)


def test_one_number_of_bytes_counts_for_a_whole_night(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "NIGHT_BYTES", 1 << 20)
    padding = " " * 100_000  # each answer alone is small
    levels = {"studies": "0020000D", "series": "0020000E", "instances": "00080018"}

    def answer(request: str) -> bytes:
        asked = request.split()[1].split("?")[0].rpartition("/")[2]
        if asked not in levels:
            return b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
        uids = [f"1.2.{number}" for number in range(50)] if asked == "studies" else ["1.2.3"]
        return ok((json.dumps([{levels[asked]: {"vr": "UI", "Value": [uid]}} for uid in uids]) + padding).encode())

    with http_server(answer) as url:
        result = pulled_by_web(tmp_path, url)
    assert "1 MB that one server may send" in result.failures[-1]
    assert result.unanswered > 0


def test_headers_count_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "NIGHT_BYTES", 1 << 20)
    padding = "".join(f"X-{number}: {'x' * 60_000}\r\n" for number in range(20))
    with http_server(lambda _: f"HTTP/1.1 200 OK\r\n{padding}Content-Length: 2\r\n\r\n[]".encode()) as url:
        assert "may send" in in_time(lambda: pulled_by_web(tmp_path, url), 10)


# --- DICOM ---------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("short")
def test_a_find_that_is_pending_for_ever_ends_in_time(tmp_path: Path) -> None:
    numbers = count()

    def find(_: Dataset) -> Iterator[Dataset]:
        while next(numbers) < 1000:
            answer = Dataset()
            answer.QueryRetrieveLevel, answer.StudyInstanceUID = "STUDY", f"1.2.{next(numbers)}"
            yield answer
            time.sleep(0.1)

    with pacs(find, lambda _: []) as port:
        assert f"{LIMIT_S:.0f} s" in in_time(lambda: pulled_by_get(tmp_path, port), LIMIT_S + 5)


def test_a_find_without_end_is_cut_by_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dimse, "MOST_ANSWERS", 20)

    def find(_: Dataset) -> Iterator[Dataset]:
        for number in range(100_000):
            answer = Dataset()
            answer.QueryRetrieveLevel, answer.StudyInstanceUID = "STUDY", f"1.2.{number}"
            yield answer

    with pacs(find, lambda _: []) as port:
        assert "more than 20 answers" in in_time(lambda: pulled_by_get(tmp_path, port), 10)


def find_one(question: Dataset) -> Iterable[Dataset]:
    answer = Dataset()
    answer.QueryRetrieveLevel, answer.StudyInstanceUID = question.QueryRetrieveLevel, "1.2.3.4"
    if answer.QueryRetrieveLevel != "STUDY":
        answer.SeriesInstanceUID = "1.2.3.4.5"
    if answer.QueryRetrieveLevel == "IMAGE":
        answer.SOPInstanceUID = "1.2.3"
    return [answer]


def test_a_get_that_sends_without_end_is_cut_by_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "NIGHT_BYTES", 1 << 20)

    def get(_: Dataset) -> list[Dataset]:
        return [ordinary_report(SOPInstanceUID=f"1.9.{number}", TextValue="x" * 50_000) for number in range(100)]

    with pacs(find_one, get) as port:
        assert "1 MB that one server may send" in in_time(lambda: pulled_by_get(tmp_path, port), 20)


@pytest.mark.parametrize("begin", [b"", b"\x02\x00\x00\x00\x10\x00", b"\x04\x00\xff\xff\xff\xff", b"\x09"])
def test_a_dripped_answer_to_an_association_request_ends_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begin: bytes
) -> None:
    monkeypatch.setattr(association, "SILENCE_S", LIMIT_S)

    def talk(connection: Any) -> None:
        connection.sendall(begin)
        for part in drip(bytes(200)):
            connection.sendall(part)

    with raw_server(talk) as port:
        assert f"127.0.0.1:{port}" in in_time(lambda: pulled_by_get(tmp_path, port), 10)


# --- TLS -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "days_left", "is_known", "said"),
    [
        ("127.0.0.1", -1, True, "expired"),
        ("127.0.0.9", 2, True, "IP address mismatch"),
        ("127.0.0.1", 2, False, "self-signed"),
    ],
    ids=["expired", "other host", "self-signed"],
)
def test_a_bad_certificate_is_named_and_never_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str, days_left: int, is_known: bool, said: str
) -> None:
    certificate = certified(tmp_path, address, days_left)
    for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(variable, raising=False)
    if is_known:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    asked: list[str] = []

    def answer(request: str) -> bytes | Iterable[bytes]:
        asked.append(request)
        return ok(b"[]")

    with http_server(answer, certificate) as url:
        sentence = in_time(lambda: pulled_by_web(tmp_path / "site", url))
    assert said in sentence
    assert url in sentence
    assert asked == []


def test_a_missing_file_of_authorities_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "nothing.pem"))
    with http_server(lambda _: ok(b"[]"), certified(tmp_path)) as url:
        assert "REQUESTS_CA_BUNDLE" in in_time(lambda: pulled_by_web(tmp_path / "site", url))


def test_a_server_without_tls_is_named(tmp_path: Path) -> None:
    with http_server(lambda _: ok(as_file(ordinary_report()))) as url:
        assert "TLS" in in_time(lambda: pulled_by_web(tmp_path, url.replace("http", "https")))


def test_nobody_listens(tmp_path: Path) -> None:
    assert "no connection" in in_time(lambda: pulled_by_web(tmp_path, f"http://127.0.0.1:{free_port()}/dicom-web"))
