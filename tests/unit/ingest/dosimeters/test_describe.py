"""Drafts of source descriptions: what an export shows is right, what it does not show is CONFIRM and refused."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.exports import keys
from support.small_site import SHARED, make_site, write
from typer.testing import CliRunner

from ingest.dosimeters.description import CONFIRM, SourceDescription, load_description
from ingest.dosimeters.draft import draft_description
from ingest.dosimeters.reader import read_export
from ingest.dosimeters.sample import take_sample
from ingest.problems import SiteError, UserError
from orchestration.cli import app
from synthetic_hospital import write_hospital


def draft(folder: Path, content: str | bytes, name: str = "export.csv") -> dict[str, Any]:
    path = write(folder, name, content)
    loaded: dict[str, Any] = yaml.safe_load(draft_description(take_sample(path), "new", "*"))
    return loaded


def questions(value: object, place: str = "") -> list[str]:
    """Dotted places of every CONFIRM."""
    if isinstance(value, dict):
        return [found for key, part in value.items() for found in questions(part, f"{place}.{key}".strip("."))]
    return [place] if value == CONFIRM else []


def answered(text: str, answers: dict[str, Any]) -> dict[str, Any]:
    """A draft as a person who knows the source completes it: a value for each CONFIRM and nothing else."""
    drafted: dict[str, Any] = yaml.safe_load(text)
    for place in questions(drafted):
        key, _, part = place.partition(".")
        known = answers.get(key, {"counter": "increment", "records_when_idle": False}.get(key))
        if part:
            drafted[key][part] = known[part]
        else:
            drafted[key] = known
    if drafted["layout"] != "hourly_totals":
        drafted.pop("counter", None)
    return drafted


@pytest.fixture(scope="module", params=["demo", "hospital_tiny", "hospital_clean"])
def hospital(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if request.param == "demo":
        site = tmp_path_factory.mktemp("demo") / "site"
        write_hospital(site, "tiny")
        return site
    if not (SHARED / request.param).is_dir():
        pytest.skip(f"{request.param} is not beside the checkout")
    return SHARED / str(request.param)


def test_a_draft_with_its_questions_answered_reads_as_the_true_description_does(hospital: Path) -> None:
    described = sorted((hospital / "sources").glob("*.yaml"))
    assert described
    for path in described:
        export = min((hospital / "inbox/dosimeters" / path.stem).iterdir())
        true = load_description(path)
        drafted = answered(
            draft_description(take_sample(export), path.stem, "*"), yaml.safe_load(path.read_text("utf-8"))
        )
        source = SourceDescription.model_validate(drafted)
        assert [(b.rows, b.rejected) for b in read_export(export, source)] == [
            (b.rows, b.rejected) for b in read_export(export, true)
        ], path.stem


def test_the_questions_are_those_that_no_export_answers(tmp_path: Path) -> None:
    content = "Badge;Issued;Returned;Hp(10) mSv;Hub;Note\nB1;2024-03-25 08:00;2024-03-25 09:00;0.5;H1;x\n"
    found = draft(tmp_path, content)
    assert questions(found) == ["timezone", "dst", "hubs.H1"]
    assert found["layout"] == "sessions"
    assert found["units"] == {"hp10": "mSv"}
    assert found["ignored_columns"] == ["Note"]


@pytest.mark.parametrize(
    ("rows", "question"),
    [
        ("B1;03/04/2024 08:00;1.5\nB1;05/06/2024 09:00;2.5", "datetime_format"),
        ("B1;2024-03-25T08:00;1,250\nB1;2024-03-25T09:00;2,125", "decimal"),
        ("B1;2024-03-25T08:00;1.250\nB1;2024-03-25T09:00;2.125", "thousands"),
        ("B1;45355.3;1.5\nB1;45356.3;2.5", "datetime_format"),
    ],
)
def test_what_can_be_read_in_two_ways_is_asked(tmp_path: Path, rows: str, question: str) -> None:
    assert question in questions(draft(tmp_path, f"Badge;Time;Dose uSv\n{rows}\n"))


@pytest.mark.parametrize(
    ("rows", "decimal", "thousands"),
    [("1.234,5|2,25", ",", "."), ("1,234.5", ".", ","), ("0,034", ",", None), ("1 234,5", ",", " "), ("12", ".", None)],
)
def test_decimal_signs(tmp_path: Path, rows: str, decimal: str, thousands: str | None) -> None:
    lines = "\n".join(f"B1;2024-03-25T08:00;{value}" for value in rows.split("|"))
    found = draft(tmp_path, f"Badge;Time;Dose uSv\n{lines}\n")
    assert (found["decimal"], found["thousands"]) == (decimal, thousands)


@pytest.mark.parametrize(
    ("column", "unit"),
    [("Dose (µSv)", "uSv"), ("Dose [\u03bcSv/h]", "uSv/h"), ("Dosis mrem", "mrem"), ("rate_nsv_s", "nSv/s"),
     ("Доза мЗв", "mSv"), ("Débit mSv/h", "mSv/h"), ("Dose", CONFIRM), ("Dose ÂµSv", CONFIRM)],
)  # fmt: skip
def test_units_are_read_and_never_assumed(tmp_path: Path, column: str, unit: str) -> None:
    assert draft(tmp_path, f"Badge;Time;{column}\nB1;2024-03-25T08:10:00Z;1.5\n")["units"]["hp10"] == unit


def test_preamble_footer_tokens_and_encoding(tmp_path: Path) -> None:
    text = (
        "Exportación\nUnit: mSv\nDosímetro;Desde;Hasta;Hp(10)\n1;01/03/2024;31/03/2024;0,5\n2;01/03/2024;31/03/2024;M\n"
        "3;01/03/2024;31/03/2024;odd\nTotal;;;0,5\n"
    )
    found = draft(tmp_path, text.encode("cp1252"))
    assert (found["encoding"], found["skip_rows"], found["footer_pattern"]) == ("cp1252", 2, "^(Total)")
    assert (found["below_lod_tokens"], found["units"]) == (["M"], {"hp10": "mSv"})
    sample = take_sample(tmp_path / "export.csv")
    assert 'unless they are a token above: "odd"' in draft_description(sample, "new", "*")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no table"),
        ("B1;2024-03-25;1\n".encode("utf-16-le"), "no byte order mark"),
        ("B1;2024-03-25T08:00;1\nB1;2024-03-25T09:00;2\n", "no line of column names"),
        ("one\ntwo\n", "no table"),
    ],
)
def test_what_cannot_be_described_is_one_sentence(tmp_path: Path, content: str | bytes, said: str) -> None:
    with pytest.raises(UserError, match=said):
        take_sample(write(tmp_path, "export.csv", content))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    noise=st.one_of(
        st.binary(max_size=300),
        st.text(alphabet="a1;,\t.\"'\n:/- \u0085\u2028µ#{[", max_size=200).map(lambda text: f"a;b\n1;{text}".encode()),
    )
)
def test_noise_is_refused_or_gives_a_draft_that_is_yaml(tmp_path: Path, noise: bytes) -> None:
    path = write(tmp_path, "noise.csv", noise)
    try:
        sample = take_sample(path)
    except UserError:
        return
    assert yaml.safe_load(draft_description(sample, "new", "*"))["skip_rows"] == len(sample.above)


def test_every_confirm_is_refused_with_its_line(tmp_path: Path) -> None:
    path = write(tmp_path, "sources/test.yaml", yaml.safe_dump(keys(timezone=CONFIRM, hubs={"H": CONFIRM})))
    with pytest.raises(SiteError) as refused:
        load_description(path)
    assert sorted(problem.field or "" for problem in refused.value.problems) == ["hubs.H", "timezone"]
    assert all(problem.line and "still says CONFIRM" in problem.message for problem in refused.value.problems)


def test_a_draft_goes_into_a_new_file_only_and_the_site_is_refused_until_it_is_decided(tmp_path: Path) -> None:
    root = make_site(tmp_path / "site")
    export = write(root, "inbox/dosimeters/new/a.csv", "Badge;Time;Dose uSv\nB1;2024-03-25T08:10:00;1.5\n")
    output = root / "sources/new.yaml"
    first = CliRunner().invoke(app, ["describe", str(export), "-o", str(output)])
    assert first.exit_code == 0, first.output
    text = output.read_text("utf-8")
    assert text.startswith("# A draft")
    again = CliRunner().invoke(app, ["describe", str(export), "-o", str(output)])
    assert (again.exit_code, "not written over" in again.output, output.read_text("utf-8") == text) == (1, True, True)
    for command in (["check"], ["check", "--file", str(export)], ["run"]):
        said = CliRunner().invoke(app, [*command, "--site", str(root)])
        assert said.exit_code == 1
        assert "still says CONFIRM" in said.output
    assert CliRunner().invoke(app, ["describe", str(export)]).output == text


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("delimiter", [",", ";"])
@pytest.mark.parametrize(
    "above", [[["Report"]], [["Report; of, badges"]], [["From", "2024-03-01"], []], [["Site", "X"]]]
)
def test_a_preamble_that_a_spreadsheet_padded_is_no_header(
    tmp_path: Path, mark: str, delimiter: str, above: list[list[str]]
) -> None:
    header = ["Badge", "Time", "Rate (uSv/h)", "Hub"]
    rows = [["B1", f"2024-03-05 10:00:0{second}", "1.5", "BASE"] for second in range(5)]
    text = io.StringIO()
    padded = [line + [""] * (len(header) - len(line)) for line in above]
    csv.writer(text, delimiter=delimiter).writerows([*padded, header, *rows])
    found = draft(tmp_path, (mark + text.getvalue()).encode())
    assert found["skip_rows"] == len(above)
    assert list(found["columns"].values()) == header
