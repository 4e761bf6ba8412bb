"""Exports are read ahead by a thread: an error stays with its file, a bounded number is read, no thread is left."""

from __future__ import annotations

import re
import signal
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pytest
from support import sr_builder as sr
from support.small_site import RATES, export, make_site, write

from ingest.dose_reports import read_dose_report
from ingest.dosimeters.rows import Batch
from ingest.raw import read_ahead as opened_module
from ingest.raw.file_ledger import FoundFile, find_dose_reports, find_dosimeter_exports
from ingest.raw.read_ahead import AHEAD, OpenedFile, open_exports
from ingest.records import DoseReport, Refused
from ingest.site.config import load_site


def batch(nth: int) -> Batch:
    return Batch(pa.table({}), bytes_read=nth)


@pytest.fixture
def three_files(tmp_path: Path) -> list[FoundFile]:
    make_site(tmp_path)
    for name in "abc":
        write(tmp_path, f"{RATES}/{name}.csv", export(1))
    return find_dosimeter_exports(load_site(tmp_path))


def name_of(opened: OpenedFile) -> str:
    return opened.file.place.stem


def test_each_file_has_its_batches_whether_they_are_asked_for_or_not(three_files: list[FoundFile]) -> None:
    def read(opened: OpenedFile) -> Iterator[Batch]:
        return map(batch, range(3 * AHEAD if name_of(opened) == "b" else 1))

    said = []
    for opened in open_exports(three_files, read):
        assert opened is not None
        said.append((name_of(opened), [] if name_of(opened) == "b" else [one.bytes_read for one in opened.batches]))
    assert said == [("a", [0]), ("b", []), ("c", [0])]


@pytest.mark.parametrize("error", [Refused("quarantined", "why"), OSError(5, "why"), ZeroDivisionError("why")])
def test_an_error_of_reading_is_raised_where_its_file_is_read(three_files: list[FoundFile], error: Exception) -> None:
    def read(opened: OpenedFile) -> Iterator[Batch]:
        yield batch(0)
        if name_of(opened) == "b":
            raise error

    for opened in open_exports(three_files, read):
        assert opened is not None
        if name_of(opened) == "b":
            with pytest.raises(type(error), match="why"):
                list(opened.batches)
        else:
            assert len(list(opened.batches)) == 1


def test_an_error_of_opening_a_file_is_none_of_the_file_before_it(
    three_files: list[FoundFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    open_file = opened_module.open_file

    def opening(file: FoundFile) -> OpenedFile | None:
        if file.place.stem == "b":
            raise PermissionError("why")
        return open_file(file)

    monkeypatch.setattr(opened_module, "open_file", opening)
    opened_files = open_exports(three_files, lambda _: map(batch, range(2)))
    first = next(opened_files)
    assert first is not None
    assert len(list(first.batches)) == 2
    with pytest.raises(PermissionError, match="why"):
        next(opened_files)


def test_who_stops_half_way_leaves_no_thread_and_has_read_a_bounded_number_ahead(three_files: list[FoundFile]) -> None:
    read_so_far: list[int] = []

    def read(_: OpenedFile) -> Iterator[Batch]:
        for nth in range(10 * AHEAD):
            read_so_far.append(nth)
            yield batch(nth)

    before = threading.active_count()
    with closing(open_exports(three_files, read)) as opened_files:
        opened = next(opened_files)
        assert opened is not None
        assert next(iter(opened.batches)).bytes_read == 0
        assert threading.active_count() == before + 1
    assert threading.active_count() == before
    assert len(read_so_far) <= AHEAD + 2


def test_a_report_that_takes_too_long_is_refused_by_name_and_the_next_one_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bound is of reading, whatever is slow in it: here an expression that is exponential in the letters."""

    def slow(data: bytes) -> DoseReport:
        if data == b"slow":
            re.match(r"(a|aa)+$", "a" * 200 + "b")
        return sr_report

    sr_report = read_dose_report(sr.as_file(sr.ordinary_report()))
    monkeypatch.setattr(opened_module, "read_dose_report", slow)
    monkeypatch.setattr(opened_module, "REPORT_S", 1)
    make_site(tmp_path)
    for name in ("slow", "well"):
        write(tmp_path, f"inbox/dose_reports/{name}", name)
    first, second = opened_module.open_reports(find_dose_reports(load_site(tmp_path)))
    assert first and isinstance(first.report, Refused)
    assert first.report.status == "quarantined"
    assert "more than 1 s of processor time" in first.report.reason
    assert second and second.report == sr_report
    assert signal.getsignal(signal.SIGPROF) == signal.SIG_DFL
