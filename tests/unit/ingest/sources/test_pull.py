"""PACS with odd habits: every dose report is found, or there is a named failure; what failed is asked for again."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import config as pydicom_config
from pydicom.dataset import Dataset
from support.odd_servers import dicomweb_of, http_server, ok, pacs
from support.small_site import make_site
from support.sr_builder import XRAY_DOSE_SR, as_file, ordinary_report

from ingest.dose_reports.dicom_file import Identity, identity_of
from ingest.raw.build_db import raw_ddl
from ingest.site.config import Site, load_site
from ingest.sources.pull import Pulled, pull_all
from ingest.sources.pull_record import NIGHTS, copy_into
from ingest.sources.store import ReceivedStore

DAY = date(2024, 3, 4)
STUDY, SERIES, INSTANCE = WANTED = Identity("1.2.3.4", "1.2.3.4.5", "1.2.3")
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
REPORT = ordinary_report()
STUDY_UID, SERIES_UID, INSTANCE_UID = "0020000D", "0020000E", "00080018"
MODALITIES, MODALITY, SOP_CLASS, ACCESSION = "00080061", "00080060", "00080016", "00080050"
KEYWORDS = {MODALITIES: "ModalitiesInStudy", MODALITY: "Modality", SOP_CLASS: "SOPClassUID"}
ABSENT = "left out"
UNKNOWN = (ABSENT, None, "", [""])
# What a PACS says of a study with an SR series, at each level; the first is right, each other one was met somewhere.
HABITS: dict[str, dict[str, Any]] = {
    "right": {},
    **{f"modalities in study {value!r}": {MODALITIES: value} for value in (*UNKNOWN, "XA", ["XA", "KO"], "RF", "SR")},
    **{f"modality {value!r}": {MODALITY: value} for value in UNKNOWN},
    **{f"class {value!r}": {SOP_CLASS: value} for value in UNKNOWN},
    "nothing anywhere": {MODALITIES: None, MODALITY: None, SOP_CLASS: None},
}


def site_of(root: Path, **sources: object) -> Site:
    return load_site(make_site(root, site=yaml.safe_dump({"site_id": "small", "dose_reports": sources})))


def pulled(site: Site, day: date = DAY, **more: bool) -> Pulled:
    (result,) = pull_all(site, day, day, {}, **more)
    return result


def kept(site: Site) -> list[Identity | None]:
    return [identity_of(path.read_bytes()) for path in site.received_dir.rglob("*.dcm")]


def levels(**changed: Any) -> dict[str, list[dict[str, Any]]]:
    """The answers of a server with one report, of which some keys have other values."""
    right = {MODALITIES: ["XA", "SR"], MODALITY: "SR", SOP_CLASS: XRAY_DOSE_SR, ACCESSION: "A1"} | changed
    stated = {tag: value for tag, value in right.items() if not (isinstance(value, str) and value == ABSENT)}

    def keys(*tags: str) -> dict[str, Any]:
        return {tag: stated[tag] for tag in tags if tag in stated}

    return {
        "studies": [{STUDY_UID: STUDY} | keys(MODALITIES, ACCESSION)],
        "series": [{SERIES_UID: SERIES} | keys(MODALITY)],
        "instances": [{INSTANCE_UID: INSTANCE} | keys(SOP_CLASS)],
    }


def give(_: str) -> bytes:
    return ok(as_file(REPORT), "application/dicom")


def found_by_find(changed: dict[str, Any]) -> Callable[[Dataset], Iterator[Dataset]]:
    """The same habits in the answers to a C-FIND."""

    def find(question: Dataset) -> Iterator[Dataset]:
        answer = Dataset()
        answer.QueryRetrieveLevel, answer.StudyInstanceUID = question.QueryRetrieveLevel, STUDY
        right = {MODALITIES: ["XA", "SR"], MODALITY: "SR", SOP_CLASS: XRAY_DOSE_SR} | changed
        tags = {"STUDY": [MODALITIES], "SERIES": [MODALITY], "IMAGE": [MODALITY, SOP_CLASS]}[answer.QueryRetrieveLevel]
        if answer.QueryRetrieveLevel != "STUDY":
            answer.SeriesInstanceUID = SERIES
        if answer.QueryRetrieveLevel == "IMAGE":
            answer.SOPInstanceUID = INSTANCE
        for tag in tags:
            if right[tag] != ABSENT:
                setattr(answer, KEYWORDS[tag], right[tag])
        yield answer

    return find


@pytest.mark.parametrize("habit", HABITS)
@pytest.mark.parametrize("protocol", ["dicomweb", "dimse"])
def test_a_report_is_found_whatever_a_pacs_leaves_out(tmp_path: Path, protocol: str, habit: str) -> None:
    if protocol == "dicomweb":
        with http_server(dicomweb_of(levels(**HABITS[habit]), give)) as url:
            result = pulled(site := site_of(tmp_path, dicomweb={"url": url, "lookback_days": 0}))
    else:
        with pacs(found_by_find(HABITS[habit]), lambda _: [REPORT]) as port:
            dimse = {"host": "127.0.0.1", "port": port, "called_ae": "PACS", "lookback_days": 0}
            result = pulled(site := site_of(tmp_path, dimse=dimse))
    assert (result.found, result.stored, result.failed, result.unanswered) == (1, 1, 0, 0)
    assert result.failures == []
    assert kept(site) == [WANTED]


@pytest.mark.parametrize("level", ["series", "instances"])
@pytest.mark.parametrize("answer", [[], [{}], [{"00081190": None}], None])
def test_a_level_without_a_usable_answer_is_a_failure_and_the_day_stays_open(
    tmp_path: Path, level: str, answer: list[dict[str, Any]] | None
) -> None:
    """Empty, without UIDs, or refused."""
    answers = levels() | ({level: answer} if answer is not None else {})
    whole = dicomweb_of(answers, give)

    def server(request: str) -> Any:
        is_refused = answer is None and f"/{level}?" in request
        return b"HTTP/1.1 500 Error\r\nContent-Length: 0\r\n\r\n" if is_refused else whole(request)

    with http_server(server) as url:
        site = site_of(tmp_path, dicomweb={"url": url, "lookback_days": 1})
        result = pulled(site)
    assert (result.found, result.failed) in ((0, 0), (1, 1))
    assert result.failed + result.unanswered == 1
    assert len(result.failures) == 1
    assert mark(site) is None  # not over yesterday either: the server names the study for both days


@pytest.mark.parametrize("modalities", [*UNKNOWN, "XA", ["XA", "SR"]])
def test_a_study_without_series_is_a_failure(tmp_path: Path, modalities: Any) -> None:
    with http_server(dicomweb_of(levels(**{MODALITIES: modalities}) | {"series": []}, give)) as url:
        result = pulled(site_of(tmp_path, dicomweb={"url": url, "lookback_days": 0}))
    assert (result.found, result.unanswered, len(result.failures)) == (0, 1, 1)


def test_a_study_whose_stated_report_has_no_series_is_a_failure(tmp_path: Path) -> None:
    with http_server(dicomweb_of(levels(**{MODALITY: "XA"}), give)) as url:
        result = pulled(site_of(tmp_path, dicomweb={"url": url, "lookback_days": 0}))
    assert (result.found, result.unanswered, len(result.failures)) == (0, 1, 1)


def test_what_is_surely_no_report_is_not_fetched_and_an_object_of_unknown_class_only_once(tmp_path: Path) -> None:
    asked: list[str] = []
    image = ordinary_report(SOPClassUID=CT_IMAGE)

    def wado(path: str) -> bytes:
        asked.append(path)
        return ok(as_file(image), "application/dicom")

    with http_server(dicomweb_of(levels(**{SOP_CLASS: CT_IMAGE}), wado)) as url:
        known = pulled(site_of(tmp_path / "known", dicomweb={"url": url, "lookback_days": 0}))
    assert (known.found, known.failures, asked) == (0, [], [])
    with http_server(dicomweb_of(levels(**{SOP_CLASS: None}), wado)) as url:
        site = site_of(tmp_path / "unknown", dicomweb={"url": url, "lookback_days": 0})
        first, second = pulled(site), pulled(site)
    assert (first.found, first.known, second.found, len(asked)) == (1, 1, 0, 1)
    assert kept(site) == []


# --- another object than the requested one -------------------------------------------------------------------------


STRANGERS: dict[str, tuple[bytes, list[Identity | None]]] = {
    "another object": (as_file(ordinary_report(SOPInstanceUID="1.2.9")), [Identity(STUDY, SERIES, "1.2.9")]),
    "of another series": (as_file(ordinary_report(SeriesInstanceUID="1.9")), [Identity(STUDY, "1.9", INSTANCE)]),
    "of another study": (as_file(ordinary_report(StudyInstanceUID="1.9")), [Identity("1.9", SERIES, INSTANCE)]),
    "an image": (as_file(ordinary_report(SOPInstanceUID="1.2.9", SOPClassUID=CT_IMAGE)), []),
    "a damaged object": (as_file(REPORT)[:-40], [None]),  # kept: the reader names it in the ledger
}


@pytest.mark.parametrize("stranger", STRANGERS)
@pytest.mark.parametrize("protocol", ["dicomweb", "dimse"])
def test_a_stranger_is_kept_if_it_is_a_report_and_the_wanted_object_stays_wanted(
    tmp_path: Path, stranger: str, protocol: str
) -> None:
    content, expected = STRANGERS[stranger]
    given = [content]
    server: AbstractContextManager[str | int]
    if protocol == "dicomweb":
        server = http_server(dicomweb_of(levels(), lambda _: ok(given[0], "application/dicom")))
    else:
        if stranger in ("an image", "a damaged object"):
            pytest.skip("pynetdicom's own server sends neither")
        server = pacs(found_by_find({}), lambda _: [ordinary_report() if given[0] == as_file(REPORT) else other()])

        def other() -> Dataset:
            return {
                "another object": ordinary_report(SOPInstanceUID="1.2.9"),
                "of another series": ordinary_report(SeriesInstanceUID="1.9"),
                "of another study": ordinary_report(StudyInstanceUID="1.9"),
            }[stranger]

    with server as where:
        source = (
            {"dicomweb": {"url": where, "lookback_days": 0}}
            if protocol == "dicomweb"
            else {"dimse": {"host": "127.0.0.1", "port": where, "called_ae": "PACS", "lookback_days": 0}}
        )
        site = site_of(tmp_path, **source)
        result = pulled(site)
        assert (result.found, result.stored, result.failed) == (1, 0, 1)
        assert "/".join(WANTED) in result.failures[0]
        assert kept(site) == expected
        given[0] = as_file(REPORT)
        result = pulled(site)
    assert (result.found, result.stored, result.failures) == (1, 1, [])
    assert WANTED in kept(site)


# --- answers that cannot be read -----------------------------------------------------------------------------------


NESTED = b'[{"00081199": ' * 200_000 + b"1" + b"}]" * 200_000


@pytest.mark.parametrize(
    "studies",
    [
        NESTED,
        b"[" * 200_000,
        b'[{"0020000D": {"vr": "UI", "Value": ["1.2\\ud800"]}}]',
        b'[{"0020000D": {"vr": "UI", "Value": ["../../../etc"]}}]',
        b'[{"0020000D": {"vr": "UI", "Value": ["1.2", 3, null]}, "00080050": {"Value": ["\\udfff"]}}]',
        b'[{"0020000D": {"vr": "UI", "Value": {"Alphabetic": "1.2"}}}]',
    ],
    ids=["nested", "brackets", "half a character", "path", "odd values", "no list"],
)
def test_an_answer_that_cannot_be_used_is_a_failure_of_its_server_alone(tmp_path: Path, studies: bytes) -> None:
    with (
        http_server(lambda request: ok(studies if "/studies?" in request else b"[]")) as url,
        pacs(found_by_find({}), lambda _: [REPORT]) as port,
    ):
        dimse = {"host": "127.0.0.1", "port": port, "called_ae": "PACS", "lookback_days": 0}
        site = site_of(tmp_path, dicomweb={"url": url, "lookback_days": 0}, dimse=dimse)
        odd, right = pull_all(site, DAY, DAY, {})
    assert len(odd.failures) == 1
    assert url in odd.failures[0]
    assert "unexpected" not in odd.failures[0]
    assert odd.unanswered >= 1
    assert (right.stored, right.failures) == (1, [])


def test_answers_to_a_find_that_cannot_be_read_are_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pydicom_config.settings, "writing_validation_mode", pydicom_config.IGNORE)

    def find(_: Dataset) -> Iterator[Dataset]:
        answer = Dataset()
        answer.QueryRetrieveLevel = "STUDY"
        answer.add_new(0x0020000D, "UN", b"\xff\xfe")
        inner = Dataset()
        for _depth in range(900):
            outer = Dataset()
            outer.ReferencedStudySequence = [inner]
            inner = outer
        answer.ReferencedStudySequence = [inner]
        yield answer

    with pacs(find, lambda _: []) as port:
        dimse = {"host": "127.0.0.1", "port": port, "called_ae": "PACS", "lookback_days": 0}
        result = pulled(site_of(tmp_path, dimse=dimse))
    assert len(result.failures) == 1
    assert result.unanswered >= 1


def test_a_host_without_an_address_is_a_failure(tmp_path: Path) -> None:
    dimse = {"host": "no such host.invalid", "port": 104, "called_ae": "PACS"}
    assert "has no address" in pulled(site_of(tmp_path, dimse=dimse)).failures[0]


# --- the mark ------------------------------------------------------------------------------------------------------


def mark(site: Site) -> date | None:
    with closing(sqlite3.connect(site.data_dir / "pulled.sqlite")) as record:
        ((day,),) = record.execute("select complete_until from server").fetchall()
    return day and date.fromisoformat(day)


class DaysServer:
    """A server with one report for each day, of which some cannot be had."""

    def __init__(self, days: list[date]) -> None:
        self.days, self.missing, self.down_after = days, set[date](), date.max
        self.asked: list[str] = []

    def _report(self, day: date) -> bytes:
        number = str(day.toordinal())
        return as_file(ordinary_report(StudyInstanceUID=f"1.{number}", SeriesInstanceUID="2.1", SOPInstanceUID="3.1"))

    def __call__(self, request: str) -> bytes:
        """The answer to a request line."""
        path = request.split()[1]
        self.asked.append(path)
        if "StudyDate=" in path:
            since, dash, until = path.split("StudyDate=")[1].split("&")[0].partition("-")
            first = date.fromisoformat(f"{since[:4]}-{since[4:6]}-{since[6:]}")
            if first > self.down_after:
                return b""
            named = [day for day in self.days if day == first or (dash and day >= first and not until)]
            return ok(json.dumps([self._element(STUDY_UID, f"1.{day.toordinal()}") for day in named]).encode())
        if "/instances/" in path:
            day = date.fromordinal(int(path.split("/studies/1.")[1].split("/")[0]))
            absent = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
            return absent if day in self.missing else ok(self._report(day), "application/dicom")
        if "/instances" in path:
            return ok(json.dumps([self._element(INSTANCE_UID, "3.1")]).encode())
        if "/series" in path:
            return ok(json.dumps([self._element(SERIES_UID, "2.1")]).encode())
        return b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"  # the study as a whole

    @staticmethod
    def _element(tag: str, value: str) -> dict[str, Any]:
        return {tag: {"vr": "UI", "Value": [value]}}


def test_the_mark_moves_day_by_day_and_what_failed_on_seven_nights_no_longer_holds_it(tmp_path: Path) -> None:
    days = [DAY + timedelta(days=n) for n in range(20)]
    server = DaysServer(days)
    server.missing = {days[1]}
    with http_server(server) as url:
        site = site_of(tmp_path, dicomweb={"url": url, "lookback_days": 2})
        nights = [pulled(site, days[n]) for n in range(2, 2 + NIGHTS)]
        assert [night.failed for night in nights] == [1] * NIGHTS
        assert [len(night.failures) for night in nights] == [1] * NIGHTS
        assert all(night.found == night.stored + night.known + night.failed for night in nights)
        assert mark(site) == days[1 + NIGHTS]  # the seventh night gave it up, and moved over all days
        server.asked.clear()
        later = pulled(site, days[2 + NIGHTS])
        assert later.failures == []
        assert not any("/instances/" in path and f"1.{days[1].toordinal()}/" in path for path in server.asked)
        raw = raw_tables(site)
        assert raw["unanswered_object"] == [("1." + str(days[1].toordinal()), NIGHTS, True, days[2], days[1 + NIGHTS])]
        still = pulled(site, days[2 + NIGHTS], is_retry=True)
        assert (still.failed, len(still.failures)) == (1, 1)
        server.missing = set()
        retried = pulled(site, days[2 + NIGHTS], is_retry=True)
        assert (retried.stored, retried.failures) == (1, [])
        raw = raw_tables(site)
        assert raw["unanswered_object"] == []
    assert len(kept(site)) == len(days)
    assert len(raw["pull"]) == NIGHTS + 3


def raw_tables(site: Site) -> dict[str, list[Any]]:
    """What the raw load takes over, twice: the second time there is nothing new."""
    with duckdb.connect() as con:
        con.execute(raw_ddl())
        copy_into(con, site)
        counts = con.execute("select count(*) from raw.pull").fetchall()
        copy_into(con, site)
        assert con.execute("select count(*) from raw.pull").fetchall() == counts
        columns = "study_instance_uid, nights, is_given_up, first_failed_on, last_failed_on"
        return {
            "pull": con.execute("from raw.pull").fetchall(),
            "pacs_study": con.execute("select * exclude (seq, server) from raw.pacs_study order by seq").fetchall(),
            "unanswered_object": con.execute(f"select {columns} from raw.unanswered_object").fetchall(),
        }


def test_a_server_that_ends_in_the_middle_goes_on_there_next_night(tmp_path: Path) -> None:
    days = [DAY + timedelta(days=n) for n in range(6)]
    server = DaysServer(days)
    with http_server(server) as url:
        site = site_of(tmp_path, dicomweb={"url": url, "lookback_days": 5})
        server.down_after = days[2]
        first = pulled(site, days[5])
        assert (first.stored, first.unanswered, len(first.failures)) == (3, 3, 1)
        assert mark(site) == days[2]
        server.down_after = date.max
        second = pulled(site, days[5])
    assert (second.stored, second.known, second.failures) == (3, 3, [])
    assert mark(site) == days[5]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.sets(st.integers(0, 11), max_size=3), st.integers(0, 14)), min_size=1, max_size=6),
    st.integers(0, 3),
)
def test_whatever_fails_on_whatever_night_nothing_is_lost_once_the_server_is_well(
    tmp_path_factory: pytest.TempPathFactory, nights: list[tuple[set[int], int]], lookback_days: int
) -> None:
    """Each night some objects are missing and the server ends at some day; then comes a night on which all is well."""
    days = [DAY + timedelta(days=n) for n in range(12)]
    server = DaysServer(days)
    with http_server(server) as url:
        site = site_of(tmp_path_factory.mktemp("nights"), dicomweb={"url": url, "lookback_days": lookback_days})
        for night, (missing, down_after) in enumerate(nights):
            server.missing = {days[n] for n in missing}
            server.down_after = DAY + timedelta(days=down_after)
            (result,) = pull_all(site, days[night], days[-1], {})
            assert result.found == result.stored + result.known + result.failed
            assert bool(result.failures) == bool(result.failed or result.unanswered)
        server.missing, server.down_after = set(), date.max
        (last,) = pull_all(site, days[-1], days[-1], {})
    assert last.failures == []
    assert {identity.study_uid for identity in kept(site) if identity} == {f"1.{day.toordinal()}" for day in days}


def test_studies_of_expected_modalities_are_named(tmp_path: Path) -> None:
    def both(request: str) -> Any:
        return dicomweb_of(levels(**{MODALITIES: None, MODALITY: "XA"}), give)(request)

    with http_server(both) as url:
        site = site_of(tmp_path, dicomweb={"url": url, "lookback_days": 0})
        pulled(site)
        pulled(site)
    assert raw_tables(site)["pacs_study"] == [(STUDY, "A1", DAY, ["XA"], DAY)]
    with http_server(dicomweb_of(levels(**{MODALITIES: "CT"}), give)) as url:
        site = site_of(tmp_path / "ct", dicomweb={"url": url, "lookback_days": 0})
        assert pulled(site).studies == 1
    assert raw_tables(site)["pacs_study"] == []


def test_the_record_is_the_owners_alone_and_a_damaged_one_is_a_sentence(tmp_path: Path) -> None:
    from ingest.problems import UserError

    with http_server(dicomweb_of(levels(), give)) as url:
        site = site_of(tmp_path, dicomweb={"url": url})
        pulled(site)
        record = site.data_dir / "pulled.sqlite"
        assert record.stat().st_mode & 0o077 == 0
        record.write_bytes(b"no database" * 1000)
        with pytest.raises(UserError, match=r"pulled\.sqlite"):
            pulled(site)
    assert ReceivedStore.of(site).holds(WANTED)
