"""Exports that state the unit of each row: read row by row, drafted, checked, and warned of where it is ignored."""

from __future__ import annotations

import json
import shutil
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from support.exports import keys, read, source
from support.small_site import SHARED, make_site, rows, run, write
from typer.testing import CliRunner

from ingest.dosimeters.description import RATE_UNITS, SourceDescription
from ingest.dosimeters.draft import draft_description
from ingest.dosimeters.sample import take_sample
from ingest.units import BADGE_UNITS, RATE_PERIODS_S
from orchestration.cli import app

SESSIONS = {"dosimeter_serial": "badge", "started_at": "at", "ended_at": "end", "hp10": "dose"}
EXPORT = """\
Badge;Begin;End;Dose;Unit
B1;2024-03-04T09:30:00;2024-03-04T11:00:00;950;uSv
B2;2024-03-04T09:30:00;2024-03-04T11:00:00;1.05;mSv
"""
IGNORING = """\
source_id: ses
layout: sessions
file_pattern: "*.csv"
encoding: utf-8
delimiter: ";"
decimal: "."
timezone: Europe/Madrid
dst: true
datetime_format: iso8601
columns: {dosimeter_serial: Badge, started_at: Begin, ended_at: End, hp10: Dose}
units: {hp10: uSv}
ignored_columns: [Unit]
"""
READING = IGNORING.replace("units: {hp10: uSv}\nignored_columns: [Unit]", "unit_column: {hp10: Unit}")
USV = "select dosimeter_serial, value_usv from raw.dose_record where source_id = 'ses' order by all"


def per_row(layout: str = "hourly_totals", **changes: Any) -> SourceDescription:
    return source(layout, units={}, unit_column={"hp10": "unit"}, **changes)


def doses(folder: Path, *cells: str, description: SourceDescription | None = None) -> list[str]:
    """What hourly totals with these cells of dose and unit say: each dose, or why its row is rejected."""
    lines = [f"B1;2024-03-05T{hour:02}:00;{cell}" for hour, cell in enumerate(cells)]
    said = read(folder, "\n".join(["badge;at;dose;unit", *lines, ""]), description or per_row())
    found = {row.line: str(row.value_usv and row.value_usv.normalize()) for row in said.rows}
    return [text for _, text in sorted((found | {row.line: row.reason for row in said.rejected}).items())]


# --- reading -------------------------------------------------------------------------------------------------------


def test_each_row_is_read_in_its_own_unit(tmp_path: Path) -> None:
    cells = ["1.5;uSv", " 1.5 ; mSv ", "1.5;\u03bcSv", "2;mrem", "M;mSv", "M;", "0;Sv"]
    assert doses(tmp_path, *cells) == ["1.5", "1.5E+3", "1.5", "2E+1", "None", "None", "0E-9"]


def test_an_unknown_unit_rejects_the_row_and_is_named(tmp_path: Path) -> None:
    cells = ["1;usv", "1;mSv/h", "1;", "1;-", "1;" + "x" * 99, "1;mSv mSv", "uSv;1", "mSv;", "1 mSv;"]
    said = ["has the unknown unit 'usv'", "has the unknown unit 'mSv/h'", "has no unit", "has the unknown unit '-'"]
    said += [f"has the unknown unit '{'x' * 20}'", "has the unknown unit 'mSv mSv'", "has the unknown unit '1'"]
    said += ["has no unit"] * 2
    assert doses(tmp_path, *cells) == [f"hp10 {text}" for text in said]


def test_a_token_needs_no_unit(tmp_path: Path) -> None:
    description = per_row(null_tokens=["", "-", "not read"], unused_tokens=["Unused"])
    assert (
        doses(tmp_path, ";mSv", "-;mSv", "-;", "Unused;", "not read;", "not read;mSv", ";", description=description)
        == []
    )


def test_thousands_and_units(tmp_path: Path) -> None:
    description = per_row(thousands=" ", decimal=",")
    assert doses(tmp_path, "1 250,5;uSv", "1 250;", description=description) == [
        "1250.5",
        "hp10 has no unit",
    ]


def test_rates_and_peak_rates_have_rates(tmp_path: Path) -> None:
    columns = SESSIONS | {"peak_rate": "peak"}
    description = source("sessions", columns=columns, units={}, unit_column={"hp10": "unit", "peak_rate": "peak unit"})
    line = "B1;2024-03-05T09:00;2024-03-05T10:00;1;mSv;60;uSv/min"
    [row] = read(tmp_path, f"badge;at;end;dose;unit;peak;peak unit\n{line}\n", description).rows
    assert (row.value_usv, row.peak_rate_usv_per_h) == (1000, 3600)
    rates = per_row("rate_samples", sample_seconds=2)
    said = read(tmp_path, "badge;at;dose;unit\nB1;2024-03-05T09:00;1.8;mSv/h\nB1;2024-03-05T09:01;1;mSv\n", rates)
    assert [row.value_usv for row in said.rows] == [1]
    assert [row.reason for row in said.rejected] == ["hp10 has the unknown unit 'mSv'"]


def test_two_quantities_may_share_a_column_of_units(tmp_path: Path) -> None:
    description = source(
        "sessions", columns=SESSIONS | {"hp007": "skin"}, units={}, unit_column={"hp10": "unit", "hp007": "unit"}
    )
    [one, other] = read(
        tmp_path, "unit;badge;at;end;dose;skin\nmSv;B1;2024-03-05T09:00;2024-03-05T10:00;1;2\n", description
    ).rows
    assert (one.value_usv, other.value_usv) == (1000, 2000)


def test_what_is_kept_of_a_rejected_row_has_the_unit(tmp_path: Path) -> None:
    [rejected] = read(tmp_path, "badge;at;dose;unit\nB1;2024-03-05T09:00;1;Bq\n", per_row()).rejected
    assert json.loads(rejected.raw) == {"dosimeter_serial": "B1", "started_at": "2024-03-05T09:00", "hp10": "1 Bq"}


@pytest.mark.parametrize(("unit", "is_read"), [("mSv", True), ("mS", False), ("m", False), ("", False)])
def test_a_unit_that_is_cut_at_the_end_of_the_file_is_no_unit(tmp_path: Path, unit: str, is_read: bool) -> None:
    said = read(tmp_path, f"badge;at;dose;unit\nB1;2024-03-05T09:00;12;{unit}", per_row())
    assert (len(said.rows), len(said.rejected)) == (int(is_read), int(not is_read))


def test_no_unit_begins_another_of_its_kind() -> None:
    for legal in (tuple(BADGE_UNITS), RATE_UNITS):
        assert not [(one, other) for one in legal for other in legal if one != other and other.startswith(one)]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.decimals(0, 900, places=3), st.sampled_from(RATE_UNITS)), min_size=1, max_size=20))
def test_any_rate_is_its_number_times_its_unit_times_its_seconds(
    tmp_path: Path, cells: list[tuple[Decimal, str]]
) -> None:
    lines = [f"B1;2024-03-05T09:{n:02};{value};{unit}" for n, (value, unit) in enumerate(cells)]
    said = read(tmp_path, "\n".join(["badge;at;dose;unit", *lines, ""]), per_row("rate_samples", sample_seconds=3))
    expected = {}
    for line, (value, unit) in enumerate(cells, start=2):
        stem, _, period = unit.partition("/")
        usv = value * BADGE_UNITS[stem] * 3 / RATE_PERIODS_S[period]
        if usv <= 10_000_000:
            expected[line] = round(usv, 9)
    assert {row.line: row.value_usv for row in said.rows} == expected
    assert len(said.rejected) == len(cells) - len(expected)


# --- describing ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"unit_column": {"hp10": "unit"}}, "beside units.hp10"),
        ({"units": {}}, "units.hp10 is missing"),
        ({"unit_column": {"hp3": "unit"}}, "unit_column.hp3 is given to a column that is not mapped"),
        ({"units": {}, "unit_column": {"hp10": "badge"}}, "mapped under columns too"),
        ({"units": {}, "unit_column": {"hp10": "unit"}, "ignored_columns": ["unit"]}, "which is mapped too"),
    ],
)
def test_a_dose_has_one_way_to_its_unit(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        SourceDescription.model_validate(keys(**changes))


def drafted(folder: Path, text: str) -> dict[str, Any]:
    path = write(folder, "export.csv", text)
    draft: dict[str, Any] = yaml.safe_load(draft_description(take_sample(path), "ses", "*.csv"))
    return draft


def test_describe_drafts_a_column_of_units(tmp_path: Path) -> None:
    draft = drafted(tmp_path, EXPORT)
    assert draft["unit_column"] == {"hp10": "Unit"}
    assert "units" not in draft
    assert draft["ignored_columns"] == []
    assert draft["layout"] == "sessions"


@pytest.mark.parametrize(
    ("header", "cells", "units", "unit_column"),
    [
        ("Dose;Unidad;Skin;Unidad 2", "1;uSv;2;mSv", None, {"hp10": "Unidad", "hp007": "Unidad 2"}),
        ("Units;Dose;Skin", "mSv;1;2", None, {"hp10": "Units", "hp007": "Units"}),
        ("Dose;What;Skin (mSv)", "1;mSv;2", None, {"hp10": "What", "hp007": "What"}),
        ("Dose;Unit;Max rate uSv/h", "1;mSv;2", {"peak_rate": "uSv/h"}, {"hp10": "Unit"}),
        ("Dose (uSv);Unit", "1;mSv", {"hp10": "CONFIRM"}, None),  # name and cells contradict each other
        ("Dose (uSv);Note", "1;x", {"hp10": "uSv"}, None),
        ("Dose;Unit", "1;counts", {"hp10": "CONFIRM"}, None),
    ],
)
def test_which_column_of_units_is_whose(
    tmp_path: Path, header: str, cells: str, units: dict[str, str] | None, unit_column: dict[str, str] | None
) -> None:
    line = "B1;2024-03-04T09:30:00;2024-03-04T11:00:00"
    draft = drafted(tmp_path, f"Badge;Begin;End;{header}\n{line};{cells}\n")
    assert (draft.get("units"), draft.get("unit_column")) == (units, unit_column)


def test_a_draft_names_the_spellings_that_are_not_read(tmp_path: Path) -> None:
    path = write(tmp_path, "export.csv", EXPORT.replace(";mSv", ";msv"))
    assert "rows with 'msv' are rejected" in draft_description(take_sample(path), "ses", "*.csv")


# --- in a site -----------------------------------------------------------------------------------------------------


def site(root: Path, description: str, export: str = EXPORT) -> Path:
    write(make_site(root), "sources/ses.yaml", description)
    write(root, "inbox/dosimeters/ses/export.csv", export)
    return root


def checked(root: Path) -> str:
    said = CliRunner().invoke(app, ["check", "--site", str(root)])
    assert said.exit_code == 0, said.output
    return said.output


def test_rows_are_loaded_in_their_units(tmp_path: Path) -> None:
    root = site(tmp_path / "site", READING)
    run(root)
    assert rows(root, USV) == [("B1", 950), ("B2", 1050)]
    assert rows(root, "select rows_stated, stated_usv from raw.file_statement") == [(2, 2000)]


def test_check_warns_of_units_that_are_ignored(tmp_path: Path) -> None:
    root, warning = site(tmp_path / "site", IGNORING), "ignores column 'Unit', which holds units (mSv, uSv)"
    assert warning in checked(root)
    file = CliRunner().invoke(
        app, ["check", "--site", str(root), "--file", str(root / "inbox/dosimeters/ses/export.csv")]
    )
    assert (file.exit_code, warning in file.output) == (0, True)
    write(root, "inbox/dosimeters/ses/other.csv", "Badge;Colour\n")  # refused, and newer
    assert warning in checked(root)
    write(root, "sources/ses.yaml", READING)
    assert "units (" not in checked(root)


@pytest.mark.parametrize("cells", [("x", "uSv"), ("", ""), ("1", "2")])
def test_other_ignored_columns_are_no_reason_to_warn(tmp_path: Path, cells: tuple[str, str]) -> None:
    export = EXPORT.replace(";uSv", f";{cells[0]}").replace(";mSv", f";{cells[1]}")
    assert "holds units" not in checked(site(tmp_path / "site", IGNORING, export))


@pytest.mark.skipif(not (SHARED / "cases/05-units-per-row").exists(), reason="needs ../shared")
def test_the_shared_case_of_units_in_a_column(tmp_path: Path) -> None:
    root = tmp_path / "site"
    shutil.copytree(SHARED / "cases/05-units-per-row/site", root, copy_function=shutil.copyfile)
    assert "ignores column 'Unit', which holds units" in checked(root)
    description = root / "sources/ses.yaml"
    text = description.read_text().replace("units: {hp10: uSv}", "unit_column: {hp10: Unit}")
    description.write_text(text.replace("ignored_columns: [Unit]", ""))
    run(root)
    assert rows(root, USV) == [("B1", 950), ("B2", 1050)]
