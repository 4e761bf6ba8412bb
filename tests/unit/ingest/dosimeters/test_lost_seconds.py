"""Rate samples whose times have lost their seconds: the file is refused, and what it states is known all the same."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console
from support.exports import source
from support.small_site import RATES, SHARED, files, make_site, rows, run, write

from ingest.dosimeters import lost_seconds
from ingest.dosimeters.reader import read_export
from ingest.raw.loader import TOGETHER
from ingest.records import Refused
from orchestration.console.check_file import check_export

EXCEL_SOURCE = """\
source_id: rates
layout: rate_samples
file_pattern: "*.csv"
encoding: utf-8
delimiter: ";"
decimal: "."
timezone: Europe/Madrid
dst: true
datetime_format: "%d/%m/%Y %H:%M"
sample_seconds: 1
columns: {dosimeter_serial: Badge, started_at: Time, hp10: Rate, hub: Hub}
units: {hp10: uSv/h}
"""
SAID = "rows repeat badge and time of an earlier row: were seconds lost in a spreadsheet?"
HEADER = "badge;at;dose;hub"
COLUMNS = {"dosimeter_serial": "badge", "started_at": "at", "hp10": "dose", "hub": "hub"}


def saved_in_a_spreadsheet() -> str:
    """Two badges, 120 samples of a second each; B1's rates are equal, B2's differ. 240 µSv and more."""
    lines = [f"B1;04/03/2024 10:0{second // 60};3600;BASE" for second in range(120)]
    lines += [f"B2;04/03/2024 10:0{second // 60};{3600 + second};BASE" for second in range(120)]
    return "\n".join(["Badge;Time;Rate;Hub", *lines, ""])


def refusal(folder: Path, lines: Iterable[str], **changes: Any) -> str | None:
    """Why an export of these lines is refused, if it is."""
    path = folder / "export.csv"
    path.write_text("\n".join([HEADER, *lines, ""]))
    try:
        list(read_export(path, source("rate_samples", **{"columns": COLUMNS} | changes)))
    except Refused as refused:
        return refused.reason
    return None


def samples(minutes: int, per_minute: int, **parts: str) -> list[str]:
    """Samples of which each minute holds so many, all at its full minute."""
    said = {"badge": "B1", "hub": "H", "day": "2024-03-05", "hour": "10"} | parts
    return [
        f"{said['badge']};{said['day']}T{said['hour']}:{minute:02};{minute}.{nth};{said['hub']}"
        for minute in range(minutes)
        for nth in range(per_minute)
    ]


# --- in a site -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at_once", [1, TOGETHER["dosimeter"]])
@pytest.mark.parametrize("is_iso", [False, True])
def test_an_export_saved_in_a_spreadsheet_is_quarantined_and_its_dose_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int, is_iso: bool
) -> None:
    monkeypatch.setitem(TOGETHER, "dosimeter", at_once)
    text, description = saved_in_a_spreadsheet(), EXCEL_SOURCE
    if is_iso:
        text = text.replace("04/03/2024 ", "2024-03-04T")
        description = description.replace('"%d/%m/%Y %H:%M"', "iso8601")
    root = make_site(tmp_path / "site", source=description)
    write(root, f"{RATES}/export.csv", text)
    run(root)
    [[status, reason]] = files(root).values()
    assert status == "quarantined"
    assert str(reason).startswith(f"236 {SAID}")
    assert rows(root, "select count(*) from raw.dose_record union all select count(*) from raw.rejected_row") == [
        (0,),
        (0,),
    ]
    [(stated, usv)] = rows(root, "select rows_stated, stated_usv from raw.file_statement")
    assert (stated, round(usv, 3)) == (240, Decimal("241.983"))
    _, again = run(root)
    assert not again.statuses
    assert rows(root, "select count(*) from raw.file_statement") == [(1,)]


def test_check_says_the_same_before(tmp_path: Path) -> None:
    root = make_site(tmp_path / "site", source=EXCEL_SOURCE)
    path = write(root, f"{RATES}/export.csv", saved_in_a_spreadsheet())
    out = StringIO()
    assert not check_export(root, path, Console(file=out, width=500), lambda *_: None)
    assert f"would be quarantined: 236 {SAID}" in out.getvalue()


@pytest.mark.skipif(not (SHARED / "cases/01-excel-seconds").exists(), reason="needs ../shared")
def test_the_shared_case_of_lost_seconds(tmp_path: Path) -> None:
    root = tmp_path / "site"
    shutil.copytree(SHARED / "cases/01-excel-seconds/site", root)
    root.chmod(0o755)
    run(root)
    [[status, reason]] = rows(root, "select status, reason from raw.file where kind = 'dosimeter'")
    assert status == "quarantined"
    assert SAID in reason


# --- how many are a sign -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("repeating", "is_refused"), [(10, False), (11, True)])
def test_more_than_ten_rows(tmp_path: Path, repeating: int, is_refused: bool) -> None:
    said = refusal(tmp_path, samples(1, 1 + repeating))
    assert (said or "").startswith(f"{repeating} {SAID}") == is_refused
    assert bool(said) == is_refused


@pytest.mark.parametrize(("rows_in_all", "is_refused"), [(1200, False), (1199, True)])
def test_more_than_one_in_a_hundred_rows(tmp_path: Path, rows_in_all: int, is_refused: bool) -> None:
    whole = [f"B1;2024-03-05T12:{n // 60:02}:{n % 60:02};1;H" for n in range(rows_in_all - 13)]
    assert bool(refusal(tmp_path, samples(1, 13) + whole)) == is_refused


def test_equal_values_are_as_much_a_sign_as_different_ones(tmp_path: Path) -> None:
    assert str(refusal(tmp_path, ["B1;2024-03-05T10:00;5;H"] * 59)).startswith(f"58 {SAID}")


def test_every_quantity_is_a_row(tmp_path: Path) -> None:
    columns, units = COLUMNS | {"hp007": "skin"}, {"hp10": "uSv/h", "hp007": "uSv/h"}
    path = tmp_path / "export.csv"
    path.write_text("\n".join([HEADER + ";skin", *(f"{line};7" for line in samples(6, 2)), ""]))
    with pytest.raises(Refused, match=f"^12 {SAID}") as refused:
        list(read_export(path, source("rate_samples", columns=columns, units=units)))
    assert [(stated.quantity, stated.rows_stated) for stated in refused.value.statement] == [
        ("hp10", 12),
        ("hp007", 12),
    ]


# --- what is no sign -----------------------------------------------------------------------------------------------


def test_other_badges_and_hubs_at_the_same_time_are_no_repeats(tmp_path: Path) -> None:
    lines = [line for badge in "ABCD" for hub in "12" for line in samples(60, 1, badge=badge, hub=hub)]
    assert refusal(tmp_path, lines) is None


def test_the_hour_that_happens_twice_is_no_sign(tmp_path: Path) -> None:
    assert refusal(tmp_path, samples(60, 2, day="2024-10-27", hour="02")) is None
    assert refusal(tmp_path, samples(60, 2, day="2024-10-27", hour="03")) is not None


def test_other_layouts_may_repeat_a_time(tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    path.write_text("\n".join(["badge;at;dose", *["B1;2024-03-05T10:00;5"] * 50, ""]))
    list(read_export(path, source("hourly_totals")))


@pytest.mark.parametrize("around", ["", HEADER + "\n"])
@pytest.mark.parametrize("footer", ["", "Total 7\n"])
def test_a_file_that_is_its_first_half_repeated_is_judged_as_that_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, around: str, footer: str
) -> None:
    monkeypatch.setattr("ingest.dosimeters.lines.PIECE_CHARS", 300)
    path = tmp_path / "export.csv"
    description = source("rate_samples", columns=COLUMNS, footer_pattern="^Total")

    def text(lines: list[str]) -> str:
        return "".join(f"{line}\n" for line in lines) + footer

    whole, lost = text(samples(60, 1)), text(samples(2, 59))
    path.write_text(f"{HEADER}\n{whole}{around}{whole}")
    assert sum(len(batch.rows) for batch in read_export(path, description)) == 120
    path.write_text(f"{HEADER}\n{whole}{around}{whole.replace('59.0', '59.9')}")
    with pytest.raises(Refused, match=f"^60 {SAID}"):
        list(read_export(path, description))
    path.write_text(f"{HEADER}\n{lost}{around}{lost}")
    with pytest.raises(Refused, match=f"^116 {SAID}"):
        list(read_export(path, description))


# --- counted exactly -----------------------------------------------------------------------------------------------


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.sampled_from("AB"), st.integers(0, 40), st.sampled_from(["", "1", "2"])), max_size=120),
    st.integers(40, 400),
)
def test_repeats_are_rows_without_different_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keys: list[tuple[str, int, str]], piece: int
) -> None:
    monkeypatch.setattr("ingest.dosimeters.lines.PIECE_CHARS", piece)
    half = len(keys) // 2
    judged = keys[:half] if keys[:half] == keys[half:] else keys
    repeating = len(judged) - len(set(judged))
    expected = repeating > lost_seconds.LOST_ROWS and repeating * 100 > len(judged)
    said = refusal(tmp_path, (f"{badge};2024-03-05T10:00:{second:02};1;{hub}" for badge, second, hub in keys))
    assert (said.split(" ", 1)[0] if said else None) == (str(repeating) if expected else None)
