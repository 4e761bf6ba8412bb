"""Hostile bytes in an inbox: each file ends as one row of the file ledger with its reason, and the good ones load.

What is no file at all (pipes, links, folders) is in test_loader.py; what is huge in the slow tier.
"""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import pytest
from support import sr_builder as sr
from support.small_site import content, files, make_site, rows, run, the_key, write

from ingest.dose_reports.dicom_file import SYNTAXES
from ingest.raw.file_ledger import whats_new
from ingest.site.config import load_site

GOOD = sr.as_file(sr.ordinary_report())
CONTENT = GOOD.index(b"\x40\x00\x30\xa7SQ")  # where the content sequence begins
HEAD = GOOD[:CONTENT]  # a whole data set as far as it goes
DEFLATED = sr.as_file(sr.ordinary_report(), sr.DEFLATED)
META_END = 144 + int.from_bytes(DEFLATED[140:144], "little")  # by the group length


def sequence(length: int) -> bytes:
    return struct.pack("<HH2sHI", 0x0040, 0xA730, b"SQ", 0, length)


def item(length: int) -> bytes:
    return struct.pack("<HHI", 0xFFFE, 0xE000, length)


def deflated(data: bytes) -> bytes:
    deflater = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return DEFLATED[:META_END] + deflater.compress(data) + deflater.flush()


def with_class(uid: str) -> bytes:
    return sr.as_file(sr.ordinary_report(SOPClassUID=uid))


def with_syntax(uid: bytes) -> bytes:
    old = b"\x02\x00\x10\x00UI" + struct.pack("<H", 20) + sr.EXPLICIT.encode() + b"\x00"
    assert old in GOOD
    return GOOD.replace(old, b"\x02\x00\x10\x00UI" + struct.pack("<H", len(uid)) + uid)


# name: bytes, status, and a word of the reason
HOSTILE: dict[str, tuple[bytes, str, str]] = {
    "empty": (b"", "quarantined", "is empty"),
    "preamble only": (bytes(128) + b"DICM", "quarantined", "transfer syntax"),
    "text": (b"Dose report of " * 99, "not_dose", "not a DICOM file"),
    "cut": (GOOD[: CONTENT + 300], "quarantined", "longer than what is there"),
    "cut within an element's head": (GOOD[: CONTENT + 5], "quarantined", "cut off"),
    "one byte too many": (GOOD + b"\x00", "quarantined", "cut off"),
    "wrong length": (GOOD.replace(b"CONTAINER ", b"CONTAINERX\x00\x00", 1), "quarantined", "damaged"),
    "four gigabytes": (HEAD + sequence(0xFFFFFFFE) + item(0xFFFFFFFE), "quarantined", "longer than what is there"),
    "endless sequence": (HEAD + sequence(0xFFFFFFFF), "quarantined", "cut off"),
    "endless item": (HEAD + sequence(0xFFFFFFFF) + item(0xFFFFFFFF), "quarantined", "cut off"),
    "a thousand deep": (HEAD + (sequence(0xFFFFFFFF) + item(0xFFFFFFFF)) * 1000, "quarantined", "levels deep"),
    "a million deep": (HEAD + (sequence(0xFFFFFFFF) + item(0xFFFFFFFF)) * 10**6, "quarantined", "levels deep"),
    "bomb": (deflated(bytes(200_000_000)), "quarantined", "grows beyond"),
    "bomb of items": (
        deflated(HEAD[HEAD.index(b"\x08\x00") :] + sequence(0xFFFFFFFF) + item(0) * 10**7),
        *("quarantined", "grows beyond"),
    ),
    "no deflated data": (DEFLATED[:META_END] + b"\xff" * 99, "quarantined", "cannot be inflated"),
    "path as UID": (sr.as_file(sr.ordinary_report(SOPInstanceUID="../../../etc/cron.d/x")), "quarantined", "illegal"),
    "path as class": (with_class("../../etc/passwd"), "quarantined", "an illegal UID"),
    "unknown transfer syntax": (with_syntax(b"1.2.3.4.5.6\x00"), "quarantined", "1.2.3.4.5.6"),
    "transfer syntax of images": (with_syntax(b"1.2.840.10008.1.2.4.70"), "quarantined", "JPEG Lossless"),
    "big endian in name only": (with_syntax(b"1.2.840.10008.1.2.2\x00"), "quarantined", "damaged"),
    "implicit in name only": (with_syntax(b"1.2.840.10008.1.2\x00"), "quarantined", "explicit"),
    "image": (with_class("1.2.840.10008.5.1.4.1.1.12.1")[:-7], "not_dose", "X-Ray Angiographic Image Storage"),
    "dose report with pixels": (
        GOOD + struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, 0xFFFFFFFF) + item(0) + b"\xfe\xff\xdd\xe0\0\0\0\0",
        *("quarantined", "undefined length"),
    ),
    "same tag twice": (GOOD + GOOD[CONTENT:], "quarantined", "stands twice"),
}
GOOD_ONES = {
    "big endian": sr.as_file(sr.ordinary_report(), sr.BIG_ENDIAN),
    "deflated": DEFLATED,
    "undefined lengths": sr.as_file(sr.ordinary_report(), undefined_lengths=True),
}


def test_each_ends_as_one_row_with_its_reason_and_the_others_load(tmp_path: Path) -> None:
    root = make_site(tmp_path / "site")
    names = {name: f"inbox/dose_reports/{number:02}/x.dcm" for number, name in enumerate([*HOSTILE, *GOOD_ONES])}
    for name, data in GOOD_ONES.items() | {name: data for name, (data, *_) in HOSTILE.items()}.items():
        write(root, names[name], data)
    summary, _ = run(root)
    found = files(root)
    assert found.keys() == set(names.values())
    assert summary.waiting == []
    for name, (_, status, word) in HOSTILE.items():
        assert found[names[name]][0] == status, (name, found[names[name]])
        assert word in str(found[names[name]][1]), (name, found[names[name]])
    assert [found[names[name]][0] for name in GOOD_ONES] == ["loaded"] * len(GOOD_ONES)
    before = content(root)
    again, _ = run(root)
    assert not again.statuses
    assert content(root) == before


def test_a_newer_reader_tries_again_what_an_older_one_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_site(tmp_path / "site")
    write(root, "inbox/dose_reports/a.dcm", GOOD)
    write(root, "inbox/dose_reports/b.dcm", GOOD_ONES["big endian"])
    with monkeypatch.context() as older:
        older.delitem(SYNTAXES, sr.EXPLICIT)
        older.setattr("ingest.raw.file_ledger.reader_of_reports", lambda: {None: "older"})
        run(root)
        assert not whats_new(load_site(root), the_key())
    assert [status for status, _ in files(root).values()] == ["quarantined", "loaded"]
    assert whats_new(load_site(root), the_key()).dose_reports == 1, "what is loaded is not read again"
    run(root)
    assert rows(root, "select load_seq, status from raw.file order by load_seq") == [(1, "loaded"), (2, "loaded")]
    assert not whats_new(load_site(root), the_key())


def test_many_are_read_in_processes_and_end_as_if_they_were_few(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox = {name: data for name, (data, *_) in HOSTILE.items() if len(data) < 100_000} | GOOD_ONES
    few, many = make_site(tmp_path / "few"), make_site(tmp_path / "many")
    for root in (few, many):
        for name, data in inbox.items():
            write(root, f"inbox/dose_reports/{name}", data)
    run(few)
    monkeypatch.setattr("ingest.raw.read_ahead.MANY", 1)
    monkeypatch.setattr("ingest.raw.read_ahead.AHEAD", 3)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})
    run(many)
    assert content(many) == content(few)


def test_a_report_that_a_pipe_replaces_between_two_runs_is_not_lost(tmp_path: Path) -> None:
    root = make_site(tmp_path / "site")
    good = write(root, "inbox/dose_reports/a.dcm", GOOD)
    run(root)
    good.unlink()
    os.mkfifo(good)
    run(root)
    assert len(content(root)["dose_report"]) == 1
