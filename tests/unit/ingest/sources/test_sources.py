"""What is pulled or received is kept once, whole, under our own name; odd servers end in one sentence, no hang."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from datetime import date
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from support.odd_servers import Answer, certified, element, http_server, ok
from support.orthanc import free_port
from support.small_site import KEY, make_site, write
from support.sr_builder import DEFLATED, IMPLICIT, as_file, ordinary_report

from ingest.dose_reports.dicom_file import Identity, identity_of
from ingest.pseudonymise import load_key
from ingest.raw import loader as raw_load
from ingest.raw.build_db import open_build
from ingest.raw.file_ledger import FoundFile, find_dose_reports
from ingest.site.config import Site, load_site
from ingest.sources import association, dicomweb, http
from ingest.sources.pull import pull_all
from ingest.sources.source import Days, Period
from ingest.sources.store import ReceivedStore

TODAY = date(2024, 3, 6)


def pulling_site(root: Path, **sources: object) -> Site:
    return load_site(make_site(root, site=yaml.safe_dump({"site_id": "small", "dose_reports": sources})))


def store_in(root: Path) -> ReceivedStore:
    return ReceivedStore(root / "received", root / "receiving")


def files(store: ReceivedStore) -> list[Path]:
    return [path for path in store.folder.rglob("*") if path.is_file()]


# --- keeping -------------------------------------------------------------------------------------------------------


def test_each_object_is_kept_once_whatever_envelope_it_comes_in(tmp_path: Path) -> None:
    store, content = store_in(tmp_path), as_file(ordinary_report())
    assert store.keep(content)
    assert not store.keep(content)
    other_sender = as_file(ordinary_report())
    start = other_sender.index(b"1.2.3\x00") - 8  # another envelope: (0002,0003) with another value of equal length
    assert not store.keep(other_sender[:start] + other_sender[start:].replace(b"1.2.3\x00", b"1.2.4\x00", 1))
    assert [path.read_bytes() for path in files(store)] == [content]
    assert not list(store.workshop.iterdir())


def test_other_bytes_under_the_same_uids_are_another_version(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    assert store.keep(as_file(ordinary_report()))
    assert store.keep(as_file(ordinary_report(ContentTime="101530.5")))
    assert len(files(store)) == 2


def test_one_sop_instance_uid_in_two_studies_is_two_objects(tmp_path: Path) -> None:
    store, copy = store_in(tmp_path), as_file(ordinary_report(StudyInstanceUID="1.2.99"))
    store.keep(as_file(ordinary_report()))
    assert store.holds(Identity("1.2.3.4", "1.2.3.4.5", "1.2.3"))
    assert not store.holds(Identity("1.2.99", "1.2.3.4.5", "1.2.3"))
    assert store.keep(copy)
    assert len(files(store)) == 2


@pytest.mark.parametrize("syntax", [IMPLICIT, DEFLATED])
def test_identity_is_read_in_every_transfer_syntax(syntax: str) -> None:
    assert identity_of(as_file(ordinary_report(), syntax)) == ("1.2.3.4", "1.2.3.4.5", "1.2.3")


@pytest.mark.parametrize("uid", ["../../../etc/passwd", "/etc/passwd", "..", "a/b", "\x00", "", "1" * 300])
def test_a_hostile_uid_names_no_file(tmp_path: Path, uid: str) -> None:
    data = ordinary_report()
    for name in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
        data[name]._value = uid
    store = store_in(tmp_path)
    store.keep(as_file(data))
    (path,) = files(store)
    assert path.parent.parent == store.folder
    assert set(path.name) <= set("0123456789abcdef-.dcm")
    store.holds(Identity(uid, uid, uid))


@settings(deadline=None, max_examples=40)  # each example waits for the disk
@given(st.binary(max_size=400), st.booleans())
def test_any_bytes_are_kept_as_they_came(tmp_path_factory: pytest.TempPathFactory, noise: bytes, is_cut: bool) -> None:
    store = store_in(tmp_path_factory.mktemp("noise"))
    content = as_file(ordinary_report())[: 150 + len(noise)] if is_cut else noise
    assert store.keep(content)
    assert not store.keep(content)
    assert [path.read_bytes() for path in files(store)] == [content]


def test_a_folder_that_cannot_be_written_leaves_nothing_half(tmp_path: Path) -> None:
    (tmp_path / "received").write_text("in the way")
    with pytest.raises(OSError, match="received"):
        store_in(tmp_path).keep(as_file(ordinary_report()))
    assert not list(tmp_path.rglob("*.dcm"))


# --- asking --------------------------------------------------------------------------------------------------------


def test_a_period_is_gone_through_day_by_day_and_an_open_one_has_no_end() -> None:
    day, last = date(2024, 2, 28), date(2024, 3, 1)
    days = [Days(day, day), Days(date(2024, 2, 29), date(2024, 2, 29))]
    assert list(Period(day, last, is_open=False).days()) == [*days, Days(last, last)]
    assert list(Period(day, last, is_open=True).days()) == [*days, Days(last, None)]


STUDIES = [{"0020000D": element("1.2.3.4"), "00080061": {"vr": "CS", "Value": ["XA", "SR"]}}]
SERIES = [{"0020000D": element("1.2.3.4"), "0020000E": element("1.2.3.4.5"), "00080060": element("SR")}]
INSTANCES = [{"00080018": element("1.2.3"), "00080016": element("1.2.840.10008.5.1.4.1.1.88.67")}]
REPORT = as_file(ordinary_report())
PART = "multipart/related; type=application/dicom; boundary=xyz"


def whole(file: bytes) -> bytes:
    return b"--xyz\r\nContent-Type: application/dicom\r\n\r\n" + file + b"\r\n--xyz--\r\n"


def pacs(wado: bytes) -> Answer:
    """A server with one report, which knows no pages: it gives the same list for any offset."""

    def answer(request: str) -> bytes:
        if "/instances/" in request:
            return wado
        level = INSTANCES if "/instances" in request else SERIES if "/series" in request else STUDIES
        return ok(json.dumps(level).encode())

    return answer


def marks(site: Site) -> list[date | None]:
    """The last day that each server answered completely."""
    with closing(sqlite3.connect(site.data_dir / "pulled.sqlite")) as record:
        rows = record.execute("select complete_until from server").fetchall()
    return [day and date.fromisoformat(day) for (day,) in rows]


def failures(site: Site) -> str:
    (result,) = pull_all(site, TODAY, TODAY, {})
    return " ".join(result.failures)


@pytest.mark.parametrize("wado", [ok(whole(REPORT), PART), ok(REPORT, "application/dicom")])
def test_a_server_without_pages_is_asked_until_nothing_is_new(tmp_path: Path, wado: bytes) -> None:
    with http_server(pacs(wado)) as url:
        site = pulling_site(tmp_path, dicomweb={"url": url})
        (first,), (second,) = pull_all(site, TODAY, TODAY, {}), pull_all(site, TODAY, TODAY, {})
    assert (first.found, first.stored, first.known, first.failures) == (1, 1, 0, [])
    assert (second.found, second.stored, second.known, second.failures) == (1, 0, 1, [])
    assert [path.read_bytes() for path in files(ReceivedStore.of(site))] == [REPORT]


@pytest.mark.parametrize(
    "wado",
    [
        ok(whole(REPORT)[:-200], PART),
        ok(whole(REPORT), PART, length=10**6),
        ok(REPORT[:-100], "application/dicom", length=len(REPORT)),
        ok(b"<html>busy</html>", "text/html"),
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n",
        b"",
        b"no HTTP at all\r\n\r\n",
    ],
)
def test_an_object_that_does_not_come_whole_is_not_kept_and_said(tmp_path: Path, wado: bytes) -> None:
    with http_server(pacs(wado)) as url:
        site = pulling_site(tmp_path, dicomweb={"url": url})
        assert url in failures(site)
    assert not files(ReceivedStore.of(site))
    assert marks(site) == [None]


@pytest.mark.parametrize("search", [ok(b"{}"), ok(b"[1]"), ok(b"<html>"), ok(b"\xff"), ok(b'[{"0020000D": 7}]')])
def test_an_answer_that_is_no_dicom_json_is_a_failure(tmp_path: Path, search: bytes) -> None:
    with http_server(lambda _: search) as url:
        site = pulling_site(tmp_path, dicomweb={"url": url})
        (result,) = pull_all(site, TODAY, TODAY, {})
    assert result.found == 0
    assert result.failures


def silent(_: str) -> bytes:
    time.sleep(3)
    return b""


def test_servers_that_hang_end_in_time_and_do_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (http, association):
        monkeypatch.setattr(module, "CONNECT_S", 0.3)
        monkeypatch.setattr(module, "SILENCE_S", 0.3)
    with http_server(silent) as url:
        port = int(url.split(":")[2].split("/")[0])
        dimse = {"host": "127.0.0.1", "port": port, "called_ae": "ORTHANC"}
        started = time.monotonic()
        results = pull_all(pulling_site(tmp_path, dicomweb={"url": url}, dimse=dimse), TODAY, TODAY, {})
    assert time.monotonic() - started < 3
    assert ["does not answer" in " ".join(result.failures) for result in results] == [True, True]


def test_an_endless_answer_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dicomweb, "MAX_JSON_BYTES", 1 << 20)
    with http_server(lambda _: ok(bytes(3 << 20))) as url:
        assert "larger than 1 MB" in failures(pulling_site(tmp_path, dicomweb={"url": url}))


def test_tls_by_the_authority_that_the_environment_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = certified(tmp_path)
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    with http_server(pacs(ok(whole(REPORT), PART)), certificate) as url:
        site = pulling_site(tmp_path / "site", dicomweb={"url": url})
        assert "REQUESTS_CA_BUNDLE" in failures(site)
        assert not files(ReceivedStore.of(site))
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
        assert failures(site) == ""
        assert len(files(ReceivedStore.of(site))) == 1


def test_nobody_listens(tmp_path: Path) -> None:
    port = free_port()
    dimse = {"host": "127.0.0.1", "port": port, "called_ae": "ORTHANC"}
    site = pulling_site(tmp_path, dicomweb={"url": f"http://127.0.0.1:{port}/dicom-web"}, dimse=dimse)
    results = pull_all(site, TODAY, TODAY, {})
    assert [len(result.failures) for result in results] == [1, 1]


def test_a_variable_that_is_not_set_is_named(tmp_path: Path) -> None:
    settings = {"url": "http://127.0.0.1:9/dicom-web", "username_env": "PACS_USER", "password_env": "PACS_PASSWORD"}
    said = pull_all(pulling_site(tmp_path, dicomweb=settings), TODAY, TODAY, {"PACS_USER": "reader"})[0].failures
    assert said == [
        "site.yaml, dose_reports.dicomweb.password_env: the environment variable PACS_PASSWORD is not set; "
        "nothing was pulled."
    ]


def test_the_search_goes_back_to_the_last_day_that_was_complete(tmp_path: Path) -> None:
    asked: list[str] = []

    def empty(request: str) -> bytes:
        asked.append(request.split("StudyDate=")[1].split("&")[0])
        return ok(b"[]")

    with http_server(empty) as url:
        site = pulling_site(tmp_path, dicomweb={"url": url, "lookback_days": 3})
        pull_all(site, TODAY, TODAY, {})
        first, later = asked[:], date(2024, 3, 20)
        pull_all(site, later, later, {})
        second = asked[len(first) :]
        pull_all(site, later, date(2024, 3, 25), {})
        third = asked[len(first + second) :]
    assert first == ["20240303", "20240304", "20240305", "20240306-"]
    assert second == [f"202403{day:02}" for day in range(3, 20)] + ["20240320-"]
    assert third == ["20240317", "20240318", "20240319", "20240320"]


def test_a_site_without_servers_does_not_load_the_dicom_network(tmp_path: Path) -> None:
    root = pulling_site(tmp_path).root
    code = (
        "import sys; from datetime import date; from pathlib import Path; from ingest.site.config import load_site\n"
        "from ingest.sources.pull import pull_all\n"
        f"assert pull_all(load_site(Path({str(root)!r})), date.today(), date.today()) == []\n"
        "assert 'pynetdicom' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# --- files that are still being written ----------------------------------------------------------------------------


def loaded(site: Site) -> raw_load.Summary:
    key = load_key("small", KEY)
    with open_build(site, key) as con:
        return raw_load.load_dose_reports(con, site, key)


def test_a_part_of_a_file_waits_and_a_whole_file_does_not(tmp_path: Path) -> None:
    site = pulling_site(tmp_path)
    write(site.root, "inbox/dose_reports/a.part", REPORT[:-200])
    write(site.root, "inbox/dose_reports/.b.dcm.Xy12Zz", REPORT[:-100])
    write(site.root, "inbox/dose_reports/whole.tmp", REPORT)  # any extension is a legal one
    first = loaded(site)
    assert (dict(first.statuses), len(first.waiting)) == ({"loaded": 1}, 2)
    (site.root / "inbox/dose_reports/a.part").rename(site.root / "inbox/dose_reports/a.dcm")
    write(site.root, "inbox/dose_reports/a.dcm", as_file(ordinary_report(ContentTime="101530.5")))
    second = loaded(site)
    assert (dict(second.statuses), len(second.waiting)) == ({"loaded": 1}, 1)


def test_a_part_that_nobody_finishes_is_refused_by_name(tmp_path: Path) -> None:
    site = pulling_site(tmp_path)
    path = write(site.root, "inbox/dose_reports/a.part", REPORT[:-200])
    long_ago = time.time() - 2 * raw_load.UNFINISHED_S
    os.utime(path, (long_ago, long_ago))
    assert dict(loaded(site).statuses) == {"quarantined": 1}


def test_a_file_that_grows_while_the_inbox_is_read_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw_load, "LOOK_AGAIN_S", 0.5)
    site = pulling_site(tmp_path)
    path = write(site.root, "inbox/dose_reports/a.dcm", REPORT[:1000])
    write(site.root, "inbox/dose_reports/cut.dcm", REPORT[:-200])

    def grow() -> None:
        with path.open("ab") as file:
            file.write(REPORT[1000:1100])

    timer = threading.Timer(0.3, grow)

    def find_and_let_grow(site: Site) -> list[FoundFile]:
        found = find_dose_reports(site)
        timer.start()
        return found

    with monkeypatch.context() as patch:
        patch.setattr(raw_load, "find_dose_reports", find_and_let_grow)
        first = loaded(site)
    timer.join()
    assert (dict(first.statuses), first.waiting) == ({"quarantined": 1}, ["inbox/dose_reports/a.dcm"])
    path.write_bytes(REPORT)
    assert dict(loaded(site).statuses) == {"loaded": 1}
