"""Loading into the raw tables: each file once, whole or not at all, with its row in the file ledger."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from support import paths
from support import sr_builder as sr
from support.real_reports import WHY_MISSING
from support.small_site import (
    DOSIMETERS,
    OPERATORS,
    RATES,
    SOURCE,
    content,
    export,
    files,
    looking,
    make_site,
    mixed_inbox,
    rows,
    run,
    the_key,
    write,
)

from ingest.dosimeters.description import SourceDescription
from ingest.dosimeters.reader import read_export
from ingest.dosimeters.rows import Batch
from ingest.problems import UserError
from ingest.pseudonymise import WrongKey, load_key
from ingest.raw.build_db import AlreadyRunning, BuildUnavailable, open_build
from ingest.raw.file_ledger import input_fingerprint, whats_new
from ingest.raw.loader import TOGETHER, load_dosimeters
from ingest.raw.reference_load import load_reference
from ingest.site.config import load_site


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_site(tmp_path / "site")


# --- badge exports -------------------------------------------------------------------------------------------------


def test_an_export_is_loaded_exactly(root: Path) -> None:
    write(root, f"{RATES}/a.csv", export(36, "0.5", "x"))
    _, summary = run(root)
    assert (summary.seen, summary.statuses["loaded"], summary.rows_loaded, summary.rows_rejected) == (1, 1, 2, 1)
    assert rows(root, "select * exclude (ended_at) from raw.dose_record order by line")[0] == (
        *(1, 2, "rates", "rate_samples", "B1", "hp10", Decimal("0.01"), None),
        *(datetime(2024, 3, 5, 9, tzinfo=UTC), False, False, "BASE", None, None, None, None, None),
    )
    assert rows(root, "select load_seq, line from raw.rejected_row") == [(1, 4)]
    assert rows(
        root, "select load_seq, path, size_bytes, kind, source_id, rows_loaded, rows_rejected from raw.file"
    ) == [(1, f"{RATES}/a.csv", len(export(36, "0.5", "x")), "dosimeter", "rates", 2, 1)]


def test_a_large_export_tells_how_far_its_reading_is(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.raw.stores.LARGE_BYTES", 1000)
    monkeypatch.setattr("ingest.raw.stores.MB", 1)
    monkeypatch.setattr("ingest.dosimeters.lines.PIECE_CHARS", 500)
    large = write(root, f"{RATES}/large.csv", export(*range(59)))
    write(root, f"{RATES}/small.csv", export(1, day=6))
    told: list[tuple[str, int, int]] = []
    site = load_site(root)
    with open_build(site, the_key()) as con:
        load_dosimeters(con, site, the_key(), within=lambda *said: told.append(said))
    assert [name for name, _, _ in told] == ["large.csv"] * len(told)
    assert len(told) > 2
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)
    assert told[-1] == ("large.csv", large.stat().st_size, large.stat().st_size)


def test_the_same_input_twice_changes_nothing(root: Path) -> None:
    write(root, f"{RATES}/a.csv", export(1, 2))
    write(root, "inbox/dose_reports/x.txt", "no dose report")
    run(root)
    before = content(root)
    dose_reports, exports = run(root)
    assert not dose_reports.statuses + exports.statuses
    assert content(root) == before
    os.utime(root / RATES / "a.csv", (0, 0))  # a file that is only touched is read again and found to be known
    _, exports = run(root)
    assert not exports.statuses
    assert content(root) == before


def test_a_copy_is_a_duplicate_that_names_its_original(root: Path) -> None:
    write(root, f"{RATES}/b.csv", export(1, 2))
    write(root, f"{RATES}/c.csv", export(1, 2))
    run(root)
    write(root, f"{RATES}/a.csv", export(1, 2))
    run(root)
    reason = f"has the same bytes as {RATES}/b.csv"
    assert files(root) == {
        f"{RATES}/b.csv": ["loaded", None],
        f"{RATES}/c.csv": ["duplicate", reason],
        f"{RATES}/a.csv": ["duplicate", reason],
    }
    assert rows(root, "select distinct duplicate_of from raw.file where status = 'duplicate'") == [(1,)]
    assert rows(root, "select count(*) from raw.dose_record") == [(2,)]


def test_a_copy_of_a_refused_file_is_read_for_itself(root: Path) -> None:
    for name in "ab":
        write(root, f"{RATES}/{name}.csv", "Badge;Colour\n")
        write(root, f"inbox/dose_reports/{name}.txt", "no dose report")
    run(root)
    statuses = {path: status for path, (status, _) in files(root).items()}
    assert statuses[f"{RATES}/a.csv"] == statuses[f"{RATES}/b.csv"] == "quarantined"
    assert statuses["inbox/dose_reports/a.txt"] == statuses["inbox/dose_reports/b.txt"] != "duplicate"


@pytest.mark.parametrize("is_same_run", [True, False])
@pytest.mark.parametrize("refused", [f"{RATES}/a.txt", "inbox/dosimeters/a.csv", "inbox/dosimeters/other/a.csv"])
def test_a_refused_file_is_read_under_another_name_or_in_another_folder(
    root: Path, refused: str, *, is_same_run: bool
) -> None:
    path = write(root, refused, export(1, 2))
    if not is_same_run:
        run(root)
        assert files(root)[refused][0] == "quarantined"
        path.unlink()
    write(root, f"{RATES}/z.csv", export(1, 2))
    run(root)
    assert files(root)[f"{RATES}/z.csv"] == ["loaded", None]
    assert rows(root, "select count(*) from raw.dose_record") == [(2,)]


@pytest.mark.parametrize("name", ["A.CSV", "a.Csv", "me\N{COMBINING ACUTE ACCENT}decin.csv"])
def test_case_and_normal_form_of_a_name_do_not_refuse_it(root: Path, name: str) -> None:
    write(root, "sources/rates.yaml", SOURCE.replace('"*.csv"', '"[am]*.csv"' if name[0] in "Aa" else '"médecin.csv"'))
    write(root, f"{RATES}/{name}", export(1))
    run(root)
    assert files(root) == {f"{RATES}/{name}": ["loaded", None]}


def test_files_of_one_run_are_taken_in_byte_order_of_their_paths(root: Path) -> None:
    names = ["b.csv", "B.csv", "é.csv", "a/z.csv", "a.csv", "Ω.csv"]
    for number, name in enumerate(names):
        write(root, f"{RATES}/{name}", export(number))
    run(root)
    loaded = [path for (path,) in rows(root, "select path from raw.file order by load_seq")]
    assert loaded == sorted((f"{RATES}/{name}" for name in names), key=str.encode)


def test_new_bytes_at_an_old_path_are_a_new_file(root: Path) -> None:
    write(root, f"{RATES}/a.csv", export(1))
    run(root)
    write(root, f"{RATES}/a.csv", export(1, 2))
    run(root)
    assert rows(root, "select load_seq, path, rows_loaded from raw.file order by all") == [
        (1, f"{RATES}/a.csv", 1),
        (2, f"{RATES}/a.csv", 2),
    ]


def test_a_refused_file_is_tried_again_in_its_place_when_its_description_changes(root: Path) -> None:
    write(root, f"{RATES}/a.csv", export(1).replace("Hub", "Hub;Battery").replace("BASE", "BASE;9"))
    write(root, f"{RATES}/b.csv", export(2))
    run(root)
    assert files(root)[f"{RATES}/a.csv"][0] == "quarantined"
    assert not whats_new(load_site(root), the_key())
    write(root, "sources/rates.yaml", SOURCE.replace("hubs:", "ignored_columns: [Battery]\nhubs:"))
    assert whats_new(load_site(root), the_key()).dosimeters == 1, "what is loaded is not read again"
    _, exports = run(root)
    assert dict(exports.statuses) == {"loaded": 1}
    assert files(root) == {f"{RATES}/a.csv": ["loaded", None], f"{RATES}/b.csv": ["loaded", None]}
    assert rows(root, "select load_seq, count(*) from raw.dose_record group by all order by all") == [(1, 1), (2, 1)]
    assert not whats_new(load_site(root), the_key())


def test_a_file_in_no_source_or_of_another_name_is_quarantined_with_what_to_do(root: Path) -> None:
    write(root, "inbox/dosimeters/lost.csv", export(1))
    write(root, "inbox/dosimeters/nobody/a.csv", export(2))
    write(root, f"{RATES}/notes.txt", "no export")
    run(root)
    found = files(root)
    assert {status for status, _ in found.values()} == {"quarantined"}
    assert "move it to inbox/dosimeters/<source_id>/" in str(found["inbox/dosimeters/lost.csv"][1])
    assert "no file in sources/ describes the folder" in str(found["inbox/dosimeters/nobody/a.csv"][1])
    assert "file_pattern '*.csv'" in str(found[f"{RATES}/notes.txt"][1])
    write(root, "sources/nobody.yaml", SOURCE.replace("rates\n", "nobody\n", 1))
    run(root)
    assert files(root)["inbox/dosimeters/nobody/a.csv"] == ["loaded", None]


def test_a_refused_file_that_is_moved_to_its_source_is_no_duplicate(root: Path) -> None:
    write(root, "inbox/dosimeters/nobody/a.csv", export(2))
    run(root)
    (root / RATES).mkdir(parents=True)
    (root / "inbox/dosimeters/nobody/a.csv").rename(root / RATES / "a.csv")
    run(root)
    assert files(root)[f"{RATES}/a.csv"] == ["loaded", None]


# --- ignored files, and files that are gone ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Thumbs.db", ".DS_Store", "DESKTOP.INI", "._a.csv", "~$a.csv", ".~lock.a.csv#"])
def test_files_of_file_managers_and_editors_are_ignored_by_name(root: Path, name: str) -> None:
    for folder in (RATES, "inbox/dosimeters", "inbox/dose_reports"):
        write(root, f"{folder}/{name}", b"\0\1\2 no data")
    run(root)
    assert {status for status, _ in files(root).values()} == {"ignored"}
    before = content(root)
    assert not whats_new(load_site(root), the_key())
    run(root)
    assert content(root) == before


def test_a_file_that_is_being_copied_is_ignored_for_a_day(root: Path) -> None:
    paths = [write(root, name, b"\0\1\2") for name in (f"{RATES}/a.csv.part", f"{RATES}/b.TMP")]
    run(root)
    assert {status for status, _ in files(root).values()} == {"ignored"}
    for path in paths:
        os.utime(path, (path.stat().st_mtime - 25 * 3600,) * 2)
    assert whats_new(load_site(root), the_key()).dosimeters == 2
    run(root)
    assert {status for status, _ in files(root).values()} == {"quarantined"}
    assert not whats_new(load_site(root), the_key())


@pytest.mark.parametrize("name", ["._a.dcm", "a.tmp"])
@pytest.mark.parametrize(("cut", "status"), [(None, "loaded"), (-40, "quarantined")])
def test_in_dose_reports_only_what_is_no_dicom_data_set_is_ignored(
    root: Path, name: str, cut: int | None, status: str
) -> None:
    report = write(root, f"inbox/dose_reports/{name}", sr.as_file(sr.ordinary_report())[:cut])
    os.utime(report, (report.stat().st_mtime - 3600,) * 2)  # no longer being written
    run(root)
    assert [found for found, _ in files(root).values()] == [status]


def test_the_site_adds_names_and_what_was_refused_is_ignored(root: Path) -> None:
    write(root, f"{RATES}/a.bak", b"\0\1")
    run(root)
    assert [status for status, _ in files(root).values()] == ["quarantined"]
    write(root, "site.yaml", 'site_id: small\nname: Small\nignored_files: ["*.BAK"]\n')
    assert whats_new(load_site(root), the_key()).dosimeters == 1
    run(root)
    assert [status for status, _ in files(root).values()] == ["ignored"]
    write(root, "site.yaml", "site_id: small\nname: Small\n")
    run(root)
    assert [status for status, _ in files(root).values()] == ["quarantined"]


def recent(root: Path) -> list[str]:
    return [
        path for (path,) in rows(root, "select path from raw.recent_file join raw.file using (load_seq) order by 1")
    ]


def test_a_refused_file_that_is_moved_counts_no_longer(root: Path) -> None:
    write(root, f"{RATES}/a.csv", export(1))
    lost = write(root, "inbox/dosimeters/lost.csv", export(2))
    pipe = root / RATES / "pipe.csv"
    os.mkfifo(pipe)
    run(root)
    assert recent(root) == ["inbox/dosimeters/lost.csv", f"{RATES}/a.csv", f"{RATES}/pipe.csv"]
    before = fingerprint(root)
    lost.rename(root / RATES / "b.csv")
    pipe.unlink()
    assert whats_new(load_site(root), the_key()).is_refused_file_gone
    run(root)
    assert recent(root) == [f"{RATES}/a.csv", f"{RATES}/b.csv"]
    assert files(root)["inbox/dosimeters/lost.csv"][0] == "quarantined", "it stays on record"
    assert not whats_new(load_site(root), the_key())
    assert fingerprint(root) != before


def test_a_file_that_is_corrected_in_place_counts_once(root: Path) -> None:
    write(root, f"{RATES}/a.csv", "Badge;Colour\n")
    run(root)
    write(root, f"{RATES}/a.csv", export(1))
    run(root)
    assert rows(root, "select status from raw.recent_file join raw.file using (load_seq)") == [("loaded",)]


def test_a_file_that_was_first_seen_long_ago_counts_no_longer(root: Path) -> None:
    write(root, f"{RATES}/a.csv", "Badge;Colour\n")
    run(root)
    with looking(root) as con:
        con.execute("update raw.file set first_seen_at = first_seen_at - interval 31 day")
    assert whats_new(load_site(root), the_key())
    run(root)
    assert recent(root) == []


def fingerprint(root: Path) -> str:
    with looking(root) as con:
        return input_fingerprint(con)


# --- what is no file -----------------------------------------------------------------------------------------------


def test_what_is_no_readable_file_is_one_row_and_never_a_hang(root: Path, tmp_path: Path) -> None:
    inbox = root / "inbox/dose_reports"
    write(root, "inbox/dose_reports/x.dcm/inside.txt", "a file in a folder called like a file")
    outside = write(tmp_path, "outside.dcm", "not ours")
    os.mkfifo(inbox / "pipe")
    (inbox / "broken").symlink_to(inbox / "nowhere")
    (inbox / "loop").symlink_to(inbox / "loop")
    (inbox / "out").symlink_to(outside)
    (inbox / "folder").symlink_to(inbox / "x.dcm")
    here = Path.cwd()
    os.chdir(inbox)  # the path of a socket may be 108 bytes long
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
    os.chdir(here)
    run(root)
    reasons = {path.removeprefix("inbox/dose_reports/"): reason for path, (_, reason) in files(root).items()}
    expected = {
        "pipe": "a pipe",
        "socket": "a socket",
        "broken": "a link to nothing",
        "loop": "a link to nothing",
        "out": "outside the site",
        "folder": "links to folders are not followed",
        "x.dcm": "a folder",
        "x.dcm/inside.txt": "not a DICOM file",
    }
    assert reasons.keys() == expected.keys()
    for name, words in expected.items():
        assert words in str(reasons[name])
    before = content(root)
    assert not whats_new(load_site(root), the_key())
    run(root)
    assert content(root) == before


def test_once_it_can_be_read_a_file_is_loaded_and_its_old_row_goes(root: Path) -> None:
    target = root / RATES / "a.csv"
    target.parent.mkdir(parents=True)
    target.symlink_to(root / "later.csv")
    run(root)
    assert files(root)[f"{RATES}/a.csv"][0] == "quarantined"
    write(root, "later.csv", export(1))
    assert whats_new(load_site(root), the_key()).dosimeters == 1
    run(root)
    assert files(root) == {f"{RATES}/a.csv": ["loaded", None]}
    assert rows(root, "select count(*) from raw.file") == [(1,)]


@pytest.mark.parametrize("together", [1, 250_000])
def test_a_file_that_changes_while_it_is_read_waits_for_the_next_run(
    root: Path, monkeypatch: pytest.MonkeyPatch, together: int
) -> None:
    monkeypatch.setitem(TOGETHER, "dosimeter", together)  # 1: its rows are in a transaction when it shows
    for name, rate in [("a", 1), ("b", 2)]:
        write(root, f"{RATES}/{name}.csv", export(*([rate] * 5)))

    def read_while_it_grows(path: Path, source: SourceDescription) -> Iterator[Batch]:
        yield from read_export(path, source)
        if path.name == "b.csv":
            with path.open("a") as growing:
                growing.write("B1;2024-03-05T11:00:00;1;BASE\n")

    with monkeypatch.context() as growing:
        growing.setattr("ingest.raw.stores.read_export", read_while_it_grows)
        _, summary = run(root)
    assert summary.waiting == [f"{RATES}/b.csv"]
    assert rows(root, "select count(*) from raw.dose_record") == [(5,)]
    run(root)
    assert rows(root, "select count(*) from raw.dose_record") == [(11,)]


@pytest.mark.parametrize("together", [1, 7])
def test_how_many_rows_are_written_at_once_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, together: int
) -> None:
    alone, many = tmp_path / "alone", tmp_path / "many"
    for root in (alone, many):
        make_site(root)
        write(root, f"{RATES}/a.csv", export(1, "x", 3))
        write(root, f"{RATES}/b.csv", export(*range(20), badge="B2"))
        write(root, f"{RATES}/c.csv", export(1, "x", 3))
        write(root, f"{RATES}/d.csv", "Badge;Time\n")
        write(root, f"{RATES}/e.csv", export())
        write(root, "inbox/dosimeters/nobody/f.csv", export(1))
    run(many)
    monkeypatch.setitem(TOGETHER, "dosimeter", together)
    run(alone)
    assert content(alone) == content(many)


def test_an_export_with_known_bytes_is_not_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(root, f"{RATES}/a.csv", export(1, 2))
    run(root)
    write(root, f"{RATES}/copy.csv", export(1, 2))
    write(root, f"{RATES}/new.csv", export(3))
    os.utime(root / RATES / "a.csv", (0, 0))
    was_read = []

    def watched(path: Path, source: SourceDescription) -> Iterator[Batch]:
        was_read.append(path.name)
        yield from read_export(path, source)

    monkeypatch.setattr("ingest.raw.stores.read_export", watched)
    run(root)
    assert was_read == ["new.csv"]
    assert [status for status, _ in files(root).values()] == ["loaded", "duplicate", "loaded"]


# --- dose reports --------------------------------------------------------------------------------------------------


@pytest.fixture
def reports() -> Path:
    folder = paths.REAL_REPORTS
    if not folder.exists():
        pytest.skip(WHY_MISSING)
    return folder


def test_dose_reports_of_inbox_and_received_are_loaded_and_patients_are_hashes(root: Path, reports: Path) -> None:
    import pydicom

    patient = pydicom.dcmread(reports / "RF-RDSR-GE.dcm")
    patient.PatientID, patient.PatientName = "HX-90210", "Quinquinvelez^Ana"
    places = [root / "inbox/dose_reports/Quinquinvelez/HX-90210", root / "data/received/1.2.3.dcm"]
    for place in places:
        place.parent.mkdir(parents=True)
    patient.save_as(places[0])
    shutil.copy(reports / "RF-RDSR-Siemens-Zee.dcm", places[1])
    shutil.copy(places[0], places[0].with_name("copy of HX-90210"))
    run(root)
    assert files(root) == {
        "inbox/dose_reports/***/***": ["loaded", None],
        "inbox/dose_reports/***/copy of ***": ["duplicate", "has the same bytes as inbox/dose_reports/***/***"],
        "received/1.2.3.dcm": ["loaded", None],
    }
    key = the_key().patient_key(patient.get("IssuerOfPatientID"), "HX-90210", [])
    assert rows(root, "select patient_key from raw.dose_report where load_seq = 1") == [(key,)]
    counts = rows(root, "select rows_loaded from raw.file where status = 'loaded' order by load_seq")
    assert counts == rows(root, "select count(*) from raw.irradiation_event group by load_seq order by load_seq")
    assert rows(root, "select count(distinct load_seq) from raw.dose_total") == [(2,)]
    stored = repr(content(root))
    assert "Quinquinvelez" not in stored
    assert "90210" not in stored


# --- crashes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", range(1, 5))
def test_a_run_that_fails_between_two_files_and_runs_again_ends_as_one_that_did_not(tmp_path: Path, after: int) -> None:
    whole, broken = mixed_inbox(tmp_path / "whole"), mixed_inbox(tmp_path / "broken")
    run(whole)

    def fail(done: int, _total: int, _path: str) -> None:
        if done == after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(broken, fail)
    run(broken)
    assert content(broken) == content(whole)


# --- reference tables ----------------------------------------------------------------------------------------------


def test_reference_tables_are_replaced_only_when_a_file_changed(root: Path) -> None:
    with looking(root) as con:
        assert load_reference(con, load_site(root))
        assert not load_reference(con, load_site(root))
        assert con.execute("select operator_id, line from raw.ref_operators").fetchall() == [("OP1", 2), ("OP2", 3)]
        write(root, "reference/operators.csv", OPERATORS + "OP3,Bo,boss\nOP4,Cy,other\n")
        assert load_reference(con, load_site(root))
        assert con.execute("select operator_id from raw.ref_operators").fetchall() == [("OP1",), ("OP2",), ("OP4",)]
        findings = con.execute("select load_seq, path, line, field, code from raw.finding").fetchall()
        assert findings == [(None, "reference/operators.csv", 4, "grade", "refused_row")]
        write(root, "reference/operators.csv", OPERATORS)
        load_reference(con, load_site(root))
        assert con.execute("select count(*) from raw.finding").fetchone() == (0,)


def test_everything_that_models_need_of_the_site_is_in_the_raw_tables(root: Path) -> None:
    write(root, "site.yaml", "site_id: small\nalerts: {absolute_dose: {step: 120.5, enabled: false}}\n")
    write(root, "sources/rates.yaml", SOURCE.replace("{BASE: CATH1}", "{BASE: CATH1, LOST: NOWHERE}"))
    write(root, "reference/dosimeters.csv", DOSIMETERS + "B1,eye,OP2,,2024-03-01,\n")
    write(
        root,
        "reference/corrections.csv",
        "dosimeter_serial,from,to,kind,ticket\nB1,2024-03-04T06:00,2024-03-04T07:00,not_occupational,T1\n",
    )
    run(root)
    assert rows(root, "from raw.site") == [("small", "Hospital X", "Europe/Madrid", "en", "eu", None, 45, False)]
    assert rows(root, "from raw.source") == [
        ("rates", "rate_samples", "Europe/Madrid", True, Decimal(1), "increment", False, True, None, None)
    ]
    assert rows(root, "from raw.source_hub") == [("rates", "BASE", "CATH1")]
    assert rows(root, "from raw.alert_setting order by name") == [
        ("absolute_dose", "enabled", "false"),
        ("absolute_dose", "step", "120.5"),
    ]
    assert rows(root, "from raw.ref_dosimeter_overlap") == [("B1", None, date(2024, 3, 1), None)]
    assert rows(root, "select from_at, extra ->> 'ticket' from raw.ref_corrections") == [
        (datetime(2024, 3, 4, 5, tzinfo=UTC), "T1")
    ]
    assert rows(root, "select count(*) from raw.ref_alert_log") == [(0,)]
    assert rows(root, "select code from raw.finding order by code") == [("badge_overlap",), ("unknown_hub_room",)]


def test_a_finding_does_not_tell_that_somebody_is_pregnant(root: Path) -> None:
    write(root, "reference/operators.csv", "operator_id,pregnancy_declared_on\nOP1,soon\nOP2,\n")
    run(root)
    told = rows(root, "select field, message from raw.finding where line = 2 and path like '%operators.csv'")
    assert told[0][0] is None
    assert "pregnan" not in str(told)


def test_the_fingerprint_follows_what_was_read(root: Path) -> None:
    def fingerprint() -> str:
        run(root)
        with looking(root) as con:
            return input_fingerprint(con)

    seen = [fingerprint()]
    assert fingerprint() == seen[0]
    write(root, f"{RATES}/a.csv", export(1))
    seen.append(fingerprint())
    write(root, "reference/operators.csv", OPERATORS + "OP3,Bo,other\n")
    seen.append(fingerprint())
    write(root, f"{RATES}/b.csv", export(1))
    seen.append(fingerprint())
    assert len(set(seen)) == 4


def test_what_is_new_is_told_without_reading(root: Path) -> None:
    site = load_site(root)
    write(root, f"{RATES}/a.csv", export(1))
    news = whats_new(site, the_key())
    assert (news.dose_reports, news.dosimeters, news.is_reference_changed) == (0, 1, True)
    assert not (root / "data").exists(), "looking makes nothing"
    run(root)
    assert not whats_new(site, the_key())
    write(root, "reference/operators.csv", OPERATORS + "OP3,Bo,other\n")
    assert whats_new(load_site(root), the_key()).is_reference_changed


# --- who may write -------------------------------------------------------------------------------------------------


def test_another_key_is_refused_and_changes_nothing(root: Path) -> None:
    run(root)
    before = content(root)
    other = load_key("small", {"DOSELEDGER_KEY": "another key of enough bytes"})
    with pytest.raises(WrongKey, match="was made with the pseudonymisation key"), open_build(load_site(root), other):
        pass
    with pytest.raises(WrongKey):
        whats_new(load_site(root), other)
    assert content(root) == before


def test_the_build_database_of_another_site_is_refused(root: Path) -> None:
    run(root)
    write(root, "site.yaml", "site_id: other\n")
    with pytest.raises(BuildUnavailable, match="belongs to site 'small'"):
        run(root)


def test_a_path_that_cannot_be_written_and_a_damaged_database_are_one_sentence(root: Path) -> None:
    write(root, "data", "a file where a folder should be")
    with pytest.raises(BuildUnavailable, match=r"cannot be made .*correct data_dir"):
        run(root)
    (root / "data").unlink()
    write(root, "data/build/doseledger.duckdb", b"no database" * 1000)
    with pytest.raises(BuildUnavailable, match="move it away") as error:
        run(root)
    assert "\n" not in str(error.value)


def test_only_the_owner_can_read_the_build_database(root: Path) -> None:
    run(root)
    assert (root / "data/build").stat().st_mode & 0o777 == 0o700
    assert (root / "data/build/doseledger.duckdb").stat().st_mode & 0o777 == 0o600


def test_every_refusal_is_a_user_error() -> None:
    for error in (AlreadyRunning, BuildUnavailable, WrongKey):
        assert issubclass(error, UserError)
