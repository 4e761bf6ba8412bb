"""What is published of a path: of a file that is no readable report, no part of a name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from support.small_site import KEY, RATES, export, make_site, rows, run, write
from support.sr_builder import as_file, ordinary_report

from ingest.raw.file_ledger import FoundFile
from ingest.raw.published_path import shown_path
from orchestration.console.status import print_status

HIDDEN = r"inbox/dose_reports/[0-9a-f]{16}"
NAMED = "DUPONT Jean 1961-02-03"  # as the folder of a patient's CD is named


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_site(tmp_path / "site")


def shown(root: Path) -> list[tuple[str, ...]]:
    return rows(root, "select shown_path, coalesce(reason, '') from raw.file order by load_seq")


@pytest.mark.parametrize("name", ["README.TXT", "viewer.exe", "DICOMDIR", "IM0001.dcm", "scan.Dupont"])
def test_a_file_that_is_no_report_is_published_as_a_hash(root: Path, name: str) -> None:
    write(root, f"inbox/dose_reports/{NAMED}/{name}", "no dose report")
    run(root)
    ((path, reason),) = shown(root)
    ending = {"README.TXT": ".txt", "viewer.exe": ".exe", "IM0001.dcm": ".dcm"}.get(name, "")
    assert re.fullmatch(HIDDEN + re.escape(ending), path)
    assert "upont" not in reason.lower()
    assert rows(root, "select path from raw.file") == [(f"inbox/dose_reports/{NAMED}/{name}",)]


def test_a_damaged_report_and_its_copy_are_published_as_hashes(root: Path) -> None:
    whole = as_file(ordinary_report())
    write(root, f"inbox/dose_reports/{NAMED}/cut.dcm", whole[:-200])
    write(root, f"inbox/dose_reports/{NAMED}/copy of cut.dcm", whole[:-200])
    run(root)
    assert len(shown(root)) == 2
    for path, reason in shown(root):
        assert re.fullmatch(rf"{HIDDEN}\.dcm", path)
        assert "DUPONT" not in reason


def test_a_report_keeps_its_path_and_a_later_reading_tells_the_same(root: Path) -> None:
    write(root, "inbox/dose_reports/2024/a.dcm", as_file(ordinary_report()))
    run(root)
    run(root)
    assert shown(root) == [("inbox/dose_reports/2024/a.dcm", "")]


def test_a_patient_folder_among_the_exports_names_nobody(root: Path) -> None:
    write(root, f"inbox/dosimeters/{NAMED}/README.TXT", "no export")
    write(root, f"{RATES}/{NAMED}/IM0001.dcm", "no export")
    write(root, f"{RATES}/report.pdf", "no export, and where only exports are expected")
    write(root, f"{RATES}/a.csv", export(1))
    write(root, "inbox/dosimeters/stray.csv", export(2))
    write(root, "inbox/dosimeters/stray 2.csv", export(2))
    run(root)
    paths = {path for path, _ in shown(root)}
    among_exports = {f"{RATES}/a.csv", f"{RATES}/report.pdf"}
    assert among_exports < paths
    assert len(paths) == 6
    assert all(re.fullmatch(r"inbox/dosimeters/[0-9a-f]{16}\.(txt|dcm|csv)", path) for path in paths - among_exports)
    assert "DUPONT" not in repr(shown(root))


@given(st.lists(st.text(st.characters(exclude_characters="/\0"), min_size=5), min_size=1, max_size=4))
def test_no_part_of_a_hidden_path_is_shown(parts: list[str]) -> None:
    name = "/".join(parts)
    file = FoundFile(
        f"inbox/dose_reports/{name}".encode("utf-8", "surrogatepass"),
        "inbox/dose_reports",
        Path("/site/inbox/dose_reports", name),
        "dose_report",
        None,
        1,
        1,
        None,
    )
    path = shown_path(file, "0" * 64, name, is_readable=False, sources={None: "the reader"})
    assert re.fullmatch(r"inbox/dose_reports/0{16}(\.[a-z0-9]{2,6})?", path)


def test_status_says_which_file_a_published_hash_is(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOSELEDGER_KEY", KEY["DOSELEDGER_KEY"])
    write(root, f"inbox/dose_reports/{NAMED}/cut.dcm", as_file(ordinary_report())[:-200])
    run(root)
    ((path, _),) = shown(root)
    out = Console(record=True, soft_wrap=True)
    print_status(root, out)
    assert f"inbox/dose_reports/{NAMED}/cut.dcm (published as {path})" in out.export_text()
