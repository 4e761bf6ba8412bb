"""Dose reports out of a real PACS (Orthanc) and into our own receiver, with both killed in the middle of it."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from pydicom.dataset import Dataset
from pydicom.filereader import dcmread
from pynetdicom import AE, evt
from support.orthanc import LOGIN, Orthanc, free_port, orthanc
from support.small_site import KEY, make_site
from support.sr_builder import XRAY_DOSE_SR, accumulated, as_file, event, num
from support.sr_builder import report as dose_report

from ingest.dose_reports.dicom_file import Identity, identity_of
from ingest.site.config import Site, load_site
from ingest.sources import association, dimse, http
from ingest.sources.pull import Pulled, pull_all
from ingest.sources.store import ReceivedStore

TODAY = date(2024, 3, 6)
OTHER_REPORT = "1.2.840.10008.5.1.4.1.1.88.11"  # basic text SR: never a dose report
REPORTS = 12


def report(number: int, day: date = TODAY, **attributes: Any) -> bytes:
    own: dict[str, Any] = {"SOPInstanceUID": f"1.2.3.{number}", "StudyInstanceUID": f"1.2.4.{number // 2}"}
    more: dict[str, Any] = {"SeriesInstanceUID": f"1.2.5.{number // 2}", "StudyDate": f"{day:%Y%m%d}"}
    beam = event(num("122130", "2e-05", "Gy.m2"), event_uid=f"1.2.6.{number}", started=f"{day:%Y%m%d}080910")
    totals = accumulated(num("113722", "2e-05", "Gy.m2"))
    return as_file(dose_report(totals, beam, **own, **more, **attributes))


def site_with(root: Path, **sources: object) -> Site:
    return load_site(make_site(root, site=yaml.safe_dump({"site_id": "small", "dose_reports": sources})))


def kept(site: Site) -> list[Identity | None]:
    return sorted(identity_of(path.read_bytes()) for path in site.received_dir.rglob("*.dcm"))  # type: ignore[type-var]


def pulled(site: Site, day: date = TODAY) -> list[Pulled]:
    return pull_all(site, day, day, LOGIN)


@pytest.fixture(scope="module")
def pacs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    """A PACS with twelve reports of today, an old one, another kind of report, and an image's stand-in."""
    with orthanc(tmp_path_factory.mktemp("pacs")) as server:
        for number in range(REPORTS):
            server.store(report(number))
        server.store(report(100, TODAY - timedelta(days=30)))
        server.store(report(102, SOPClassUID=OTHER_REPORT))
        server.store(report(104, Modality="XA"))
        yield server


@pytest.fixture(params=["dicomweb", "dimse"])
def protocol(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def asking(server: Orthanc, protocol: str, **more: object) -> dict[str, Any]:
    settings = server.dicomweb() if protocol == "dicomweb" else server.cget()
    return {protocol: settings | more}


def test_reports_are_pulled_once(pacs: Orthanc, protocol: str, tmp_path: Path) -> None:
    site = site_with(tmp_path, **asking(pacs, protocol))
    (first,), (second,) = pulled(site), pulled(site)
    assert (first.found, first.stored, first.known, first.failures) == (REPORTS, REPORTS, 0, [])
    assert (second.found, second.stored, second.known, second.failures) == (REPORTS, 0, REPORTS, [])
    assert kept(site) == sorted(identity_of(report(number)) for number in range(REPORTS))  # type: ignore[type-var]


def test_both_ways_give_the_same_objects_once(pacs: Orthanc, tmp_path: Path) -> None:
    site = site_with(tmp_path, dicomweb=pacs.dicomweb(), dimse=pacs.cget())
    by_web, by_get = pulled(site)
    assert (by_web.stored, by_get.stored, by_get.known) == (REPORTS, 0, REPORTS)
    assert len(kept(site)) == REPORTS


def test_an_older_report_is_found_by_a_longer_look_back_or_an_earlier_date(
    pacs: Orthanc, protocol: str, tmp_path: Path
) -> None:
    (longer,) = pulled(site_with(tmp_path / "a", **asking(pacs, protocol, lookback_days=31)))
    assert longer.stored == REPORTS + 1
    site = site_with(tmp_path / "b", **asking(pacs, protocol))
    (earlier,) = pull_all(site, TODAY - timedelta(days=29), TODAY, LOGIN)
    assert earlier.stored == 1
    (later,) = pulled(site)  # everything since the last complete day
    assert (later.stored, later.known) == (REPORTS, 1)


def test_a_pacs_that_dies_in_the_middle_loses_and_doubles_nothing(
    protocol: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep, limit = ReceivedStore.keep, 4
    with orthanc(tmp_path / "pacs") as server:
        for number in range(REPORTS):
            server.store(report(number))

        def keep_and_kill(store: ReceivedStore, content: bytes) -> bool:
            is_new = keep(store, content)
            if len(list(store.folder.rglob("*.dcm"))) == limit:
                server.kill()
            return is_new

        site = site_with(tmp_path / "site", **asking(server, protocol))
        with monkeypatch.context() as patch:
            patch.setattr(ReceivedStore, "keep", keep_and_kill)
            (broken,) = pulled(site)
        assert broken.stored == limit
        assert len(broken.failures) == 1
        (still_down,) = pulled(site)
        assert (still_down.stored, len(still_down.failures)) == (0, 1)
        server.start()
        (rest,) = pulled(site)
        assert (rest.found, rest.stored, rest.known, rest.failures) == (REPORTS, REPORTS - limit, limit, [])
        assert len(kept(site)) == len(set(kept(site))) == REPORTS


def test_a_pacs_that_falls_silent_is_given_up(protocol: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (http, association):
        monkeypatch.setattr(module, "SILENCE_S", 1.0)
    with orthanc(tmp_path / "pacs") as server:
        server.store(report(1))
        assert server.process is not None
        site = site_with(tmp_path / "site", **asking(server, protocol))
        server.process.send_signal(signal.SIGSTOP)
        started = time.monotonic()
        (result,) = pulled(site)
        assert time.monotonic() - started < 10
        assert len(result.failures) == 1
        server.process.send_signal(signal.SIGCONT)
        (result,) = pulled(site)
        assert (result.stored, result.failures) == (1, [])


def test_a_wrong_password_is_said_without_it(pacs: Orthanc, tmp_path: Path) -> None:
    site = site_with(tmp_path, dicomweb=pacs.dicomweb())
    (result,) = pull_all(site, TODAY, TODAY, LOGIN | {"PACS_PASSWORD": "swordfish"})
    (sentence,) = result.failures
    assert "PACS_PASSWORD" in sentence
    assert "401" in sentence
    assert "swordfish" not in sentence


@pytest.mark.parametrize("busy_s", [0.0, 0.5], ids=["we look at once", "it closes before we look"])
def test_a_wrong_title_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, busy_s: float) -> None:
    busy = (evt.EVT_REQUESTED, lambda _: time.sleep(busy_s))  # between asking and looking at the connection
    handlers = dimse.DimseSource._handlers
    monkeypatch.setattr(dimse.DimseSource, "_handlers", lambda source: [*handlers(source), busy])
    with orthanc(tmp_path / "pacs", DicomCheckCalledAet=True) as server:
        site = site_with(tmp_path / "site", dimse=server.cget() | {"called_ae": "NOBODY"})
        (result,) = pulled(site)
    assert "refuses us" in result.failures[0]


# --- the receiver --------------------------------------------------------------------------------------------------


class Receiver:
    """``doseledger receive`` as a process of its own."""

    def __init__(self, site: Site, limit: Callable[[], None] | None = None) -> None:
        assert site.config.dose_reports.receive is not None
        self.site, self.port = site, site.config.dose_reports.receive.port
        command = [str(Path(sys.executable).with_name("doseledger")), "receive", "--site", str(site.root)]
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, **KEY},
            preexec_fn=limit,
        )
        assert self.process.stdout is not None
        assert "receives on port" in self.process.stdout.readline()

    def end(self, number: int) -> str:
        """Ends it by a signal; returns what it said."""
        self.process.send_signal(number)
        said, _ = self.process.communicate(timeout=20)
        return said

    def associate(self, title: str = "PACS1", called: str = "DOSELEDGER") -> Any:
        """An association with it, accepted or not."""
        sender = AE(title)
        sender.connection_timeout = sender.acse_timeout = sender.dimse_timeout = 10
        for sop_class in (XRAY_DOSE_SR, "1.2.840.10008.1.1"):
            sender.add_requested_context(sop_class)
        return sender.associate("127.0.0.1", self.port, ae_title=called)

    def send(self, content: bytes) -> int:
        """Sends one object; returns the status that it answered."""
        data = dcmread_bytes(content)
        link = self.associate()
        assert link.is_established
        status = link.send_c_store(data)
        link.release()
        return int(status.Status)


def dcmread_bytes(content: bytes) -> Dataset:
    from io import BytesIO

    return dcmread(BytesIO(content))


@contextmanager
def receiver(root: Path, limit: Callable[[], None] | None = None) -> Iterator[Receiver]:
    running = Receiver(site_with(root, receive={"port": free_port(), "allowed_ae": ["PACS1"]}), limit)
    try:
        yield running
    finally:
        running.process.kill()
        running.process.wait()


def test_success_means_kept_even_if_the_receiver_is_killed_at_once(tmp_path: Path) -> None:
    port = free_port()
    site = site_with(tmp_path, receive={"port": port, "allowed_ae": ["PACS1"]})
    for number in range(2):
        running = Receiver(site)
        assert running.send(report(number)) == 0
        running.process.kill()  # as a power cut
        running.process.wait()
        assert identity_of(report(number)) in kept(site)
    running = Receiver(site)
    assert running.send(report(0)) == 0  # sent again: there already
    assert "Stopped" in running.end(signal.SIGTERM)
    assert running.process.returncode == 0
    assert len(kept(site)) == 2
    (content,) = {path.read_bytes()[:400] for path in list(site.received_dir.rglob("*.dcm"))[:1]}
    assert b"PACS1" in content  # (0002,0016): the title that distinguishes some rooms


def test_only_titles_of_the_list_may_send(tmp_path: Path) -> None:
    with receiver(tmp_path) as running:
        assert running.associate("STRANGER").is_rejected
        assert running.associate(called="SOMEBODY").is_rejected
        link = running.associate()
        assert link.send_c_echo().Status == 0
        link.release()
        assert running.send(report(1)) == 0
        assert "STRANGER" in running.end(signal.SIGINT)


def test_aborted_hostile_and_endless_peers_do_not_end_it(tmp_path: Path) -> None:
    with receiver(tmp_path) as running:
        for _ in range(12):  # more than the number of associations at a time
            running.associate().abort()
            with socket.create_connection(("127.0.0.1", running.port)) as peer:
                peer.sendall(b"\x04\x00\xff\xff\xff\xff" + bytes(100))  # a PDU of 4 GB
            with socket.create_connection(("127.0.0.1", running.port)) as peer:
                peer.sendall(b"GET / HTTP/1.1\r\n\r\n")
        hostile = dcmread_bytes(report(1))
        hostile.SOPInstanceUID = "1.2.3/../../../../x"
        link = running.associate()
        link.send_c_store(hostile)
        if link.is_established:
            link.release()
        assert running.send(report(2)) == 0
        assert running.process.poll() is None
    assert identity_of(report(2)) in kept(running.site)
    outside = [path for path in tmp_path.rglob("*.dcm") if running.site.received_dir not in path.parents]
    assert not outside


def test_an_association_that_is_cut_in_the_middle_of_an_object_keeps_nothing_of_it(tmp_path: Path) -> None:
    with receiver(tmp_path) as running:
        link = running.associate()
        big = dcmread_bytes(report(1))
        big.TextValue = "x" * 20_000_000
        sender = threading.Thread(target=lambda: link.send_c_store(big), daemon=True)
        sender.start()
        time.sleep(0.05)
        link.dul.socket.socket.close()
        sender.join(20)
        assert running.send(report(2)) == 0
        assert kept(running.site) == [identity_of(report(2))]


def test_an_object_beyond_the_limit_ends_its_association(tmp_path: Path) -> None:
    with receiver(tmp_path) as running:
        big = dcmread_bytes(report(1))
        big.TextValue = "x" * 80_000_000
        link = running.associate()
        assert "Status" not in link.send_c_store(big)
        assert running.send(report(2)) == 0
        assert kept(running.site) == [identity_of(report(2))]


def request_of(calling: bytes, called: bytes = b"DOSELEDGER") -> bytes:
    """An association request (PS3.8 table 9-11) for C-ECHO, titles as they are given."""

    def item(kind: int, content: bytes) -> bytes:
        return bytes([kind, 0]) + len(content).to_bytes(2, "big") + content

    syntaxes = item(0x30, b"1.2.840.10008.1.1") + item(0x40, b"1.2.840.10008.1.2")
    user = item(0x51, (16384).to_bytes(4, "big")) + item(0x52, b"1.2.3")
    items = item(0x10, b"1.2.840.10008.3.1.1.1") + item(0x20, b"\x01\x00\x00\x00" + syntaxes) + item(0x50, user)
    body = b"\x00\x01\x00\x00" + called.ljust(16) + calling.ljust(16) + bytes(32) + items
    return b"\x01\x00" + len(body).to_bytes(4, "big") + body


def answer_to(port: int, request: bytes) -> bytes:
    """All that the receiver sends until it closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=15) as peer:
        peer.sendall(request)
        answer = b""
        while part := peer.recv(1000):
            answer += part
        return answer


REJECTED = bytes.fromhex("030000000004000101")  # for good, by the service user


@pytest.mark.parametrize(
    ("calling", "called", "said"),
    [
        (b"", b"DOSELEDGER", "calling AE title is empty"),
        (b"PACS1", b"", "called AE title is empty"),
        (b"\xff\xfe", b"DOSELEDGER", "calling AE title is no text"),
        (b"\x00" * 16, b"DOSELEDGER", "calling AE title is no text"),
        (b"A\\B", b"DOSELEDGER", "calling AE title is no text"),
        (b"\x1b[2J", b"DOSELEDGER", "calling AE title is no text"),
        (b"STRANGER", b"DOSELEDGER", "'STRANGER'"),
    ],
)
def test_a_request_whose_title_cannot_be_read_is_refused_by_the_protocol_and_logged(
    tmp_path: Path, calling: bytes, called: bytes, said: str
) -> None:
    with receiver(tmp_path) as running:
        started = time.monotonic()
        assert answer_to(running.port, request_of(calling, called))[:9] == REJECTED
        assert time.monotonic() - started < 5
        assert running.send(report(1)) == 0
        log = running.end(signal.SIGTERM)
    assert said in log
    assert "efused" in log
    assert "Traceback" not in log


def test_strangers_that_drip_a_request_have_ten_seconds_and_keep_out_nobody(tmp_path: Path) -> None:
    request, strangers = request_of(b"STRANGER"), 110
    with receiver(tmp_path) as running:
        held: list[float] = []

        def drip() -> None:
            started = time.monotonic()
            with suppress(OSError), socket.create_connection(("127.0.0.1", running.port), timeout=60) as peer:
                for at in range(len(request)):
                    peer.sendall(request[at : at + 1])
                    peer.settimeout(1)
                    with suppress(TimeoutError):
                        if not peer.recv(1):
                            break
            held.append(time.monotonic() - started)

        threads = [threading.Thread(target=drip, daemon=True) for _ in range(strangers)]
        for thread in threads:
            thread.start()
        time.sleep(1)
        started = time.monotonic()
        assert [running.send(report(number)) for number in range(3)] == [0, 0, 0]
        assert time.monotonic() - started < 10
        for thread in threads:
            thread.join(60)
        assert len(held) == strangers
        assert max(held) < 15, sorted(held)[-5:]
        assert sorted(held)[strangers - 40] < 10, sorted(held)  # all but the last 32 were ended by later ones
        log = running.end(signal.SIGTERM)
    assert log.count("before its association request") >= strangers - 32
    assert log.count("association request") == strangers
    assert "Traceback" not in log


@pytest.mark.parametrize("begin", [b"", b"\x01\x00\x00\x00\x01\x00", request_of(b"PACS1")[:40]])
def test_a_connection_that_falls_silent_before_its_request_is_whole_ends(tmp_path: Path, begin: bytes) -> None:
    with receiver(tmp_path) as running:
        started = time.monotonic()
        assert answer_to(running.port, begin)[:1] != b"\x02"
        assert time.monotonic() - started < 14


def test_what_is_not_on_disk_is_not_acknowledged(tmp_path: Path) -> None:
    """The limit of a file's size stands in for a full disk: both fail in the middle of a write."""
    room = 64 * 1024
    with receiver(tmp_path, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))) as running:
        big = dcmread_bytes(report(1))
        big.TextValue = "x" * (3 * room)
        link = running.associate()
        assert link.send_c_store(big).Status == 0xA700
        assert link.send_c_store(dcmread_bytes(report(2))).Status == 0
        link.release()
        assert kept(running.site) == [identity_of(report(2))]
        assert not list((running.site.data_dir / "receiving").iterdir())
        assert "cannot be kept" in running.end(signal.SIGTERM)


def test_a_full_disk_is_not_acknowledged_and_goes_on_once_there_is_room(tmp_path: Path) -> None:
    site = site_with(tmp_path / "site", receive={"port": free_port(), "allowed_ae": ["PACS1"]})
    site.data_dir.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs", str(site.data_dir)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("only root can mount a small disk here")
    try:
        running = Receiver(site)
        filler = site.data_dir / "filler"
        with suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        assert running.send(report(1)) == 0xA700
        assert kept(site) == []
        filler.unlink()
        assert running.send(report(1)) == 0
        assert kept(site) == [identity_of(report(1))]
        running.end(signal.SIGTERM)
    finally:
        running.process.kill()
        subprocess.run(["umount", site.data_dir], check=True)


@pytest.mark.parametrize(
    ("receive", "said"),
    [(None, "no dose_reports.receive"), ({"port": 11112}, "allowed_ae is empty")],
)
def test_a_receiver_that_nobody_may_use_does_not_start(tmp_path: Path, receive: object, said: str) -> None:
    from typer.testing import CliRunner

    from orchestration.cli import app

    result = CliRunner().invoke(app, ["receive", "--site", str(site_with(tmp_path, receive=receive).root)])
    assert result.exit_code == 1
    assert said in result.output


# --- a whole night -------------------------------------------------------------------------------------------------


def test_a_night_reads_what_was_pulled_and_tells_which_server_failed(
    pacs: Orthanc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import duckdb
    from typer.testing import CliRunner

    from orchestration.cli import app

    for name, value in (KEY | LOGIN).items():
        monkeypatch.setenv(name, value)
    nobody = {"host": "127.0.0.1", "port": free_port(), "called_ae": "OLDPACS"}
    site = site_with(tmp_path, dicomweb=pacs.dicomweb(), dimse=nobody)

    def night() -> str:
        result = CliRunner().invoke(app, ["run", "--site", str(site.root), "--as-of", TODAY.isoformat()])
        assert result.exit_code == 1, result.output
        said = " ".join(result.output.split())
        assert f"OLDPACS at 127.0.0.1:{nobody['port']} does not answer" in said, result.output
        return said

    assert "Published" in (said := night()), said
    with duckdb.connect(site.published_dir / "current" / "warehouse.duckdb", read_only=True) as warehouse:
        (paths,) = warehouse.sql("select list(path) from ledger.file where kind = 'dose_report'").fetchone() or ([],)
    assert len(paths) == REPORTS
    assert all(path.startswith("received/") for path in paths)
    said = night()
    assert f"{REPORTS} already there" in said
    assert "Nothing new" in said


def test_orthanc_is_what_it_is_taken_for(pacs: Orthanc) -> None:
    assert requests.get(pacs.url + "/system", timeout=10).status_code == 401
    assert pacs.get("/dicom-web/studies").ok
