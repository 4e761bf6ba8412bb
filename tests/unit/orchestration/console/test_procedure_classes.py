"""Which class a description gets, and what `classify`, `check` and `describe` report (issue 23, row 17)."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.small_site import make_site, write
from support.sr_builder import accumulated, as_file, coded, event, num, report
from typer.testing import CliRunner

from ingest.site.config import load_site
from orchestration.cli import app
from orchestration.console.procedure_classes import (
    SEEDS,
    UNCLASSIFIED,
    Description,
    classes_of,
    classified_descriptions,
    patterns_inside_words,
)
from synthetic_hospital.catalogue import PROCEDURE_CLASSES

FLUOROSCOPY = coded("113721", "44491008", "SCT")
# A new site's first procedures, in the words of three languages.
NEW_SITE = {
    "Coronarographie diagnostique": "coronary_angiography",
    "Angioplastie coronaire ad hoc": "pci",
    "Percutaneous coronary intervention, LAD": "pci",
    "TAVI fémoral": "tavi",
    "Quimioembolización hepática": "tace",
    "Biliary drainage, external": "biliary_drainage",
    "Trombectomía mecánica M1": "thrombectomy_stroke",
    "Fistule AV, dilatation": "av_fistula",
}
LETTERS = st.text("abcdefghijklmnopqrstuvwxyzéñç", min_size=1, max_size=6)


def seed(name: str) -> list[dict[str, str]]:
    with (SEEDS / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def classes(*texts: str, modality: str = "XA", rules: tuple[dict[str, object], ...] = ()) -> list[str]:
    found = classes_of([Description(modality, text) for text in texts], rules)  # type: ignore[arg-type]
    return [name for name, _ in found]


def rule(line: int, match: str, pattern: str, procedure_type: str) -> dict[str, object]:
    return {
        "line": line,
        "priority": 10,
        "field": "study_description",
        "match": match,
        "pattern": pattern,
        "procedure_type": procedure_type,
        "specialty": None,
    }


def site_with(folder: Path, descriptions: list[str], **files: str) -> Path:
    root = make_site(folder, **files)
    for number, description in enumerate(descriptions, start=1):
        data = report(
            accumulated(num("113722", "0.002", "Gy.m2")),
            event(FLUOROSCOPY, event_uid=f"1.2.9.{number}"),
            StudyInstanceUID=f"1.2.3.{number}",
            SOPInstanceUID=f"1.2.4.{number}",
            StudyDescription=description,
            DeviceSerialNumber="4711",
            StationName="ST1",
            SpecificCharacterSet="ISO_IR 192",
        )
        write(root, f"inbox/dose_reports/{number}.dcm", as_file(data))
    return root


def said(*arguments: object) -> str:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "300"}).output


def test_a_new_site_needs_no_procedure_types() -> None:
    assert classes(*NEW_SITE) == list(NEW_SITE.values())


def test_the_demos_names_are_classified_without_its_own_rules() -> None:
    named = [one for one in PROCEDURE_CLASSES.values() if one.code is None]
    descriptions = [Description("XA", one.description, one.requested) for one in named]
    found = [name for name, _ in classes_of(descriptions, ())]
    # «EVAR / TEVAR» names two classes: the chest and the abdomen.
    expected = [UNCLASSIFIED if one.procedure_type == "evar" else one.procedure_type for one in named]
    assert found == expected
    assert len(found) >= 15


def test_every_shipped_word_names_its_class_and_no_other_of_its_priority() -> None:
    for modality in ("XA", "CT"):
        own = [row for row in seed("procedure_class_pattern") if row["modality"] == modality]
        found = classes(*(row["pattern"] for row in own), modality=modality)
        wrong = {
            row["pattern"]: name
            for row, name in zip(own, found, strict=True)
            # A longer word sequence may hold a more special one: embolisation bronchique is no other embolisation.
            if name != row["procedure_class"] and name == UNCLASSIFIED
        }
        assert wrong == {}


@given(LETTERS, st.sampled_from(["cto", "tavi", "pci", "evar", "tips", "picc"]), LETTERS)
@settings(max_examples=60, deadline=None)
def test_a_word_inside_another_word_is_no_class(before: str, word: str, after: str) -> None:
    assert classes(f"{before}{word}{after}") == [UNCLASSIFIED]
    assert classes(f"- {word.upper()}: {before}") != [UNCLASSIFIED]


def test_words_mean_whole_words_in_a_rule_of_the_site() -> None:
    rules = (rule(2, "word", "CTO", "own"),)
    assert classes("Trombectomía mecánica", "(CTO)", "octo", rules=rules) == [
        "thrombectomy_stroke",
        "own",
        UNCLASSIFIED,
    ]


def test_two_classes_of_one_rank_are_not_guessed() -> None:
    ((name, why),) = classes_of([Description("XA", "Drenaje biliar y nefrostomía")], ())
    assert name == UNCLASSIFIED
    assert why == "several shipped patterns: biliary_drainage, nephrostomy"


def test_classify_lists_descriptions_counts_class_and_rule(tmp_path: Path) -> None:
    rules = "priority,field,match,pattern,procedure_type,specialty\n10,study_description,exact,Raro,own_class,\n"
    descriptions = ["Coronarographie", "Coronarographie", "Raro", "Otra cosa\x1b[31m"]
    root = site_with(tmp_path, descriptions, procedure_types=rules)
    assert [(one.studies, one.procedure_class, one.rule) for one in classified_descriptions(load_site(root))] == [
        (1, UNCLASSIFIED, None),
        (2, "coronary_angiography", 'shipped pattern: study_description word "coronarographie"'),
        (1, "own_class", 'line 2: study_description exact "Raro"'),
    ]
    output = said("classify", "--site", root)
    assert "\x1b[31m" not in output
    assert [line.split()[:3] for line in output.splitlines()[1:4]] == [
        ["1", "XA", UNCLASSIFIED],
        ["2", "XA", "coronary_angiography"],
        ["1", "XA", "own_class"],
    ]
    assert "Studies without a class: 1 of 4" in output


def test_check_counts_what_is_unclassified_and_names_a_pattern_inside_a_word(tmp_path: Path) -> None:
    rules = (
        "priority,field,match,pattern,procedure_type,specialty\n"
        "8,study_description,contains,cto,pci_cto,\n20,study_description,contains,trombectom,thrombectomy_stroke,\n"
    )
    root = site_with(tmp_path, ["Trombectomía", "Otra cosa"], procedure_types=rules)
    problems = [str(problem) for problem in patterns_inside_words(load_site(root))]
    assert len(problems) == 1
    assert "reference/procedure_types.csv" in problems[0]
    assert "line 2" in problems[0]
    assert "'cto' is found inside the word 'trombectomia'" in problems[0]
    output = " ".join(said("check", "--site", root).split())
    assert "inside the word 'trombectomia'" in output
    assert "1 of 2 procedures have no procedure class" in output
    assert "usable" in output


def test_check_says_nothing_of_classes_where_each_procedure_has_one(tmp_path: Path) -> None:
    output = said("check", "--site", site_with(tmp_path, list(NEW_SITE)))
    assert "class" not in output


def test_describe_drafts_rooms_and_rules_from_dose_reports(tmp_path: Path) -> None:
    root = site_with(tmp_path / "site", ["Coronarographie", "Otra cosa", "Otra cosa"])
    text = said("describe", root / "inbox/dose_reports")
    assert "# 3 dose reports were read; 0 other files were not." in text
    lines = text.splitlines()
    rooms = list(csv.DictReader(lines[lines.index(next(line for line in lines if line.startswith("room_id"))) :]))
    assert (rooms[0]["room_id"], rooms[0]["station_name"], rooms[0]["device_serial"]) == ("CONFIRM", "ST1", "4711")
    rules = list(csv.DictReader(lines[lines.index("priority,field,match,pattern,procedure_type,specialty") :]))
    assert [(row["match"], row["pattern"], row["procedure_type"]) for row in rules] == [
        ("exact", "Otra cosa", "CONFIRM"),
        ("exact", "Coronarographie", "coronary_angiography"),
    ]


@pytest.mark.parametrize("place", ["inbox/dose_reports", "inbox/dose_reports/1.dcm"])
def test_describe_of_no_dose_report_is_one_sentence(tmp_path: Path, place: str) -> None:
    root = site_with(tmp_path, [])
    write(root, "inbox/dose_reports/1.dcm", b"\0" * 128 + b"DICM" + b"nothing")
    result = CliRunner().invoke(app, ["describe", str(root / place)])
    assert result.exit_code == 1
    assert "no dose report that can be read" in " ".join(result.output.split())


def test_every_class_has_a_name_in_each_language_and_a_legal_region() -> None:
    classes_of_seed = seed("procedure_class")
    regions = {"head", "neck", "chest", "abdomen", "pelvis", "spine", "upper_limb", "lower_limb", "trunk", ""}
    assert len(classes_of_seed) >= 40
    for row in classes_of_seed:
        assert all(row[f"name_{language}"].strip() for language in ("en", "fr", "es"))
        assert row["body_region"] in regions
        assert bool(row["code_source"]) == any(row[column] for column in ("snomed_ct", "radlex", "acr_common"))
    names = [row[f"name_{language}"] for language in ("en", "fr", "es") for row in classes_of_seed]
    assert not [name for name in names if "_" in name]
