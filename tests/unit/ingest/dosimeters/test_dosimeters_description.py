"""Source descriptions: what is legal, and that each mistake is said with its line, key and what to do."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError
from support import paths
from support.exports import COLUMNS, keys, source

from ingest.dosimeters.description import NO_MEANING, TOKENS, DescriptionError, SourceDescription, load_description

SHARED = paths.SHARED


def problems(folder: Path, text: str) -> list[tuple[int | None, str | None, str]]:
    path = folder / "sources" / "test.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DescriptionError) as caught:
        load_description(path)
    assert {problem.file for problem in caught.value.problems} == {"sources/test.yaml"}
    return [(problem.line, problem.field, problem.message) for problem in caught.value.problems]


@pytest.mark.parametrize("layout", COLUMNS)
def test_each_layout_has_a_legal_description(layout: str) -> None:
    assert source(layout).layout == layout


def test_the_contract_s_own_example_is_legal(tmp_path: Path) -> None:
    contract = paths.ROOT / "docs/contract/inputs.md"
    example = re.search(r"```yaml\n(source_id: .*?)```", contract.read_text(encoding="utf-8"), re.DOTALL)
    assert example
    (tmp_path / "cath_rates.yaml").write_text(example[1], encoding="utf-8")
    description = load_description(tmp_path / "cath_rates.yaml")
    assert description.columns["started_at"] == ("Date", "Time")
    assert description.hubs == {"BASE-01": "CATH1"}
    assert description.null_tokens == ("", "-")


@pytest.mark.parametrize(
    ("layout", "changes", "field", "said"),
    [
        ("sessions", {"delimter": ";"}, "delimter", "not a known key"),
        ("sessions", {"encoding": "latin1"}, "encoding", "utf-8"),
        ("sessions", {"delimiter": r"\t"}, "delimiter", "one character"),
        ("sessions", {"timezone": "Madrid"}, "timezone", "IANA"),
        ("sessions", {"skip_rows": -1}, "skip_rows", "greater than or equal to 0"),
        ("sessions", {"footer_pattern": "(Total"}, "footer_pattern", "regular expression"),
        ("sessions", {"null_tokens": [0]}, "null_tokens.0", "valid string"),
        ("sessions", {"decimal": ",", "thousands": ","}, "thousands", "decimal sign"),
        ("sessions", {"units": {"hp10": "uSv/h"}}, "units.hp10", "must be a dose such as uSv"),
        ("sessions", {"units": {"hp10": "Âµv"}}, "units.hp10", "must be a dose such as uSv"),
        ("sessions", {"units": {}}, "units.hp10", "never assumed"),
        ("sessions", {"units": {"hp10": "uSv", "hp3": "uSv"}}, "units.hp3", "not mapped"),
        ("rate_samples", {"units": {"hp10": "uSv"}}, "units.hp10", "must be a dose rate"),
        ("sessions", {"columns": COLUMNS["hourly_totals"]}, "columns.ended_at", "is missing"),
        ("hourly_totals", {"columns": COLUMNS["sessions"]}, "columns.ended_at", "no column of layout hourly_totals"),
        ("counter_log", {"columns": {**COLUMNS["counter_log"], "hub": []}}, "columns.hub", "at least 1"),
        ("procedure_totals", {"columns": {"dosimeter_serial": "b", "hp10": "d"}}, "columns", "at least one of"),
        ("sessions", {"below_lod_tokens": ["-"]}, "below_lod_tokens", "only one thing"),
        ("sessions", {"ignored_columns": ["dose"]}, "ignored_columns", "mapped too"),
        ("sessions", {"hubs": {"B": "CATH1"}}, "hubs", "no column is mapped to hub"),
        ("sessions", {"datetime_format": "%d/%m/%Y"}, "datetime_format", "does not tell the hour"),
        ("sessions", {"datetime_format": "ISO"}, "datetime_format", "does not tell"),
        ("rate_samples", {"sample_seconds": 0}, "sample_seconds", "greater than 0"),
        ("badge_periods", {"lod": {"value": 0, "unit": "mSv"}}, "lod.value", "greater than 0"),
        ("badge_periods", {"lod": {"value": 0.05}}, "lod.unit", "missing"),
        ("badge_periods", {"lod": {"value": 0.05, "unit": "mGy"}}, "lod.unit", "unit of dose"),
        ("badge_periods", {"lod": 0.05}, "lod", "written as {value: 0.05, unit: mSv}"),
        ("sessions", {"lod": {"value": 0.05, "unit": "mSv"}}, "lod", "only badge_periods has"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, layout: str, changes: dict[str, Any], field: str, said: str) -> None:
    found = problems(tmp_path, yaml.safe_dump(keys(layout, **changes), allow_unicode=True, sort_keys=False))
    assert [(name, said in message) for _line, name, message in found] == [(field, True)], found
    assert found[0][0] is not None


@pytest.mark.parametrize(
    ("layout", "key"),
    [("sessions", key) for key in ("encoding", "delimiter", "decimal", "timezone", "dst", "datetime_format", "columns")]
    + [("rate_samples", "sample_seconds"), ("hourly_totals", "counter")],
)
def test_what_changes_a_number_or_an_instant_is_never_assumed(tmp_path: Path, layout: str, key: str) -> None:
    plain = keys(layout)
    del plain[key]
    found = problems(tmp_path, yaml.safe_dump(plain))
    assert [(name, "is missing" in message) for _line, name, message in found] == [(key, True)]


def test_every_problem_is_said_at_once_with_its_own_line(tmp_path: Path) -> None:
    text = yaml.safe_dump(keys("sessions", units={"hp10": "Sievert"}, thousands="."), sort_keys=False)
    lines = text.splitlines()
    found = problems(tmp_path, text)
    assert {name: lines[line - 1].strip() for line, name, _message in found if line} == {
        "units.hp10": "hp10: Sievert",
        "thousands": "thousands: .",
    }


def test_a_description_that_is_no_yaml_is_one_sentence(tmp_path: Path) -> None:
    assert problems(tmp_path, "columns: [")[0][2].startswith("is not valid YAML")


def test_a_description_cannot_be_made_wrong_in_code_either() -> None:
    with pytest.raises(ValidationError, match="never assumed"):
        source("sessions", units={})


def test_of_every_key_it_is_decided_whether_it_changes_the_meaning_of_a_row() -> None:
    meaning = {
        *("layout", "encoding", "delimiter", "decimal", "thousands", "skip_rows", "footer_pattern", "timezone", "dst"),
        *("datetime_format", "sample_seconds", "counter", "columns", "units", "unit_column", *TOKENS),
    }
    assert SourceDescription.model_fields.keys() == meaning | NO_MEANING


def test_a_limit_of_detection_is_a_dose_of_its_unit() -> None:
    assert source("sessions").lod is None
    for value, unit in (("0.05", "mSv"), ("50", "µSv"), ("5", "mrem")):
        lod = source("badge_periods", lod={"value": value, "unit": unit}).lod
        assert lod is not None
        assert lod.usv == 50


def test_a_default_that_is_written_out_and_the_order_of_tokens_mean_the_same() -> None:
    first = source("sessions", null_tokens=["", "-", "n/a"])
    second = source("sessions", null_tokens=["n/a", "-", ""], thousands=None)
    assert first.meaning_sha256 == second.meaning_sha256
    assert first.meaning_sha256 != source("sessions").meaning_sha256
