"""A site folder is read whole or refused with every problem named by file, line and field."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from support.small_site import SHARED, SOURCE, make_site, write

from ingest.problems import SiteError
from ingest.site.config import SiteConfig, check_site, load_site
from ingest.site.template import create_site
from ingest.strict_yaml import read_yaml


def refused(root: Path) -> str:
    with pytest.raises(SiteError) as error:
        load_site(root)
    assert check_site(root)
    return str(error.value)


def test_keys_that_are_left_out_have_the_values_of_the_contract(tmp_path: Path) -> None:
    config = load_site(make_site(tmp_path, site="")).config
    assert config.model_dump(by_alias=True) == {
        "site_id": "hcx",
        "name": "Hospital X",
        "timezone": "Europe/Madrid",
        "language": "en",
        "jurisdiction": "eu",
        "as_of": "today",
        "lens_regime": None,
        "passive_delay_days": 45,
        "data_dir": "data",
        "patient_id_placeholders": ["ANONYMOUS", "UNKNOWN", "TEST", "0"],
        "expected_modalities": ["XA", "RF"],
        "patient_id": {"strip_leading_zeros": False},
        "dose_reports": {"folder": "inbox/dose_reports", "dicomweb": None, "dimse": None, "receive": None},
        "mail": {
            "from": "doseledger@hospital.example",
            "medical_physics": ["mpe@hospital.example"],
            "operations": [],
            "restricted": [],
            "smtp_url_env": "DOSELEDGER_SMTP_URL",
            "attach_page": False,
        },
        "webhooks": [],
        "pages_url": None,
        "alerts": {},
        "gate": {"max_quarantined_files_share": Decimal("0.05")},
        "ignored_files": [],
        "archive": {"keep_days": None},
    }


def test_every_section_of_the_contract_is_read(tmp_path: Path) -> None:
    site = """\
jurisdiction: no   # Norway, not false
dose_reports:
  dicomweb: {url: "http://127.0.0.1:8042/dicom-web", username_env: X, password_env: Y}
  dimse: {host: 127.0.0.1, port: 4242, called_ae: ORTHANC}
  receive: {port: 11112, ae_title: DOSELEDGER, allowed_ae: [PACS1]}
mail:
alerts: {procedure_dose: {enabled: false}, absolute_dose: {step_1: 120.5}}
gate: {max_quarantined_files_share: 0.1}
"""
    config = load_site(make_site(tmp_path, site=site)).config
    assert config.jurisdiction == "no"
    assert config.dose_reports.dicomweb is not None
    assert config.dose_reports.dicomweb.lookback_days == 3
    assert config.alerts == {"procedure_dose": {"enabled": False}, "absolute_dose": {"step_1": Decimal("120.5")}}
    assert config.gate.max_quarantined_files_share == Decimal("0.1")


@pytest.mark.parametrize(
    ("site", "sentence"),
    [
        ("site_id: x\nlangage: en\n", "site.yaml line 2, field langage: is not a known key; did you mean language?"),
        ("mail:\n  form: a@b.c\n", "site.yaml line 2, field mail.form: is not a known key; did you mean from?"),
        ("language: de\n", "site.yaml line 1, field language: must be 'en', 'fr' or 'es', not 'de'"),
        ("timezone: Mars/Phobos\n", "field timezone: is not an IANA time zone; write one such as Europe/Madrid"),
        ("timezone: Europe/Madird\n", "field timezone: is not an IANA time zone; did you mean Europe/Madrid?"),
        ("timezone: buenos aires\n", "did you mean America/Buenos_Aires?"),
        ("name: a: b\n", "site.yaml line 1: is not valid YAML: a second ':' in one value"),
        ("mail:\n\tfrom: a@b.example\n", "site.yaml line 2: is not valid YAML: a tab; indent with blanks"),
        ("name: [a, b\nsite_id: x\n", "site.yaml line 2: is not valid YAML: a list that begins with '['"),
        ("mail: {from: a@b.example\n", "is not valid YAML: a section that begins with '{'"),
        ("mail:\n  from: a@b.example\n operations: []\n", "site.yaml line 3: is not valid YAML: the line is indented"),
        ("name: @x\n", "is not valid YAML: a value begins with @; put it in quotes"),
        ('name: "C:\\q"\n', "is not valid YAML: \\q in double quotes; use single quotes"),
        ("name: a\n---\nname: b\n", "site.yaml line 2: is not valid YAML: '---' begins a second document"),
        ("name: a\nsite_id\n", "is not valid YAML: the line has no ':'"),
        ("timezone: ../../etc\n", "field timezone: is not an IANA time zone"),
        ("site_id: Big Hospital\n", "field site_id"),
        ("name: 'a\n", "site.yaml line 2: is not valid YAML: a quotation mark is not closed"),
        ("name: a\nname: b\n", "site.yaml line 2, field name: is given twice"),
        ("- a\n", "must be a list of 'key: value' lines"),
        ("name: &a x\nsite_id: *a\n", "site.yaml line 2: is not valid YAML: an alias"),
        (b"name: \xff\n", "site.yaml line 1: is not UTF-8"),
        (b"name: a\nlanguage: \x07\n", "site.yaml line 2: holds a control character"),
        ("name: !!timestamp noon\n", "site.yaml line 1: is not valid YAML: a tag (!name) is not allowed"),
        ("name: a\nsite_id: !!int seven\n", "site.yaml line 2: is not valid YAML: a tag"),
        ("mail: !!python/object/apply:os.getcwd []\n", "site.yaml line 1: is not valid YAML: a tag"),
        ("gate: {max_quarantined_files_share: !!float x}", "a tag"),
        ("name: !!binary '%'", "a tag"),
        ("name: !local x", "a tag"),
        ("? !!set {a}\n: b\n", "a tag"),
        (f"name: {'[' * 800}{']' * 800}\n", "site.yaml line 1: is not valid YAML: it is nested in more than 20 levels"),
        ("\n".join(f"{' ' * n}a:" for n in range(800)), "it is nested in more than 20 levels"),
        ("\n".join(f"{' ' * n}-" for n in range(800)), "it is nested in more than 20 levels"),
        (f"dose_reports: {{receive: {{port: {'9' * 6000}}}}}", "a number has more than 30 characters"),
        (f"alerts: {{absolute_dose: {{step_1: 0.{'9' * 6000}}}}}", "a number has more than 30 characters"),
        ("alerts: {absolute_dose: {step_1: 1e999999999}}", "a number is larger or smaller"),
        ('name: "A\\eB"\n', "site.yaml line 1, field name: holds the control character \\x1b; remove it"),
        ('mail:\n  from: "a\\x9b@b.example"\n', "site.yaml line 2, field mail.from: holds the control character"),
        ('mail: {operations: [a@b.example, "c\\u202e@b.example"]}', "field mail.operations.1: holds the control"),
        ('patient_id_placeholders: ["\\ud800"]', "field patient_id_placeholders.0: holds the control character"),
        ('"na\\eme": x\n', "field na\\x1bme: holds the control character"),
        ("alerts: {procedure_doze: {enabled: false}}", "field alerts.procedure_doze"),
        ("alerts: {procedure_dose: {enabled: 1}}", "'enabled' is true or false"),
        ("gate: {max_quarantined_files_share: 5}", "field gate.max_quarantined_files_share"),
        ("mail: {medical_physics: [nobody]}", "field mail.medical_physics.0: is not a mail address"),
        ("data_dir: inbox/data\n", "field data_dir: must be a folder of its own"),
        ("data_dir: .\n", "field data_dir: must be a folder of its own"),
        ("dose_reports: {folder: ../elsewhere}", "field dose_reports.folder: must be a folder inside the site"),
        ("dose_reports: {folder: nowhere}", "the folder 'nowhere' does not exist"),
        ("dose_reports: {receive: {}}", "field dose_reports.receive.port: is missing"),
        ("dose_reports: {dimse: {host: h, port: 99999, called_ae: A}}", "field dose_reports.dimse.port"),
    ],
)
def test_a_wrong_site_yaml_is_refused_with_line_and_field(tmp_path: Path, site: str | bytes, sentence: str) -> None:
    assert sentence in refused(make_site(tmp_path, site=site))


@pytest.mark.parametrize(
    "site",
    [
        "mail: {smtp_url_env: 'smtps://bob:hunter2@mail'}",
        "dose_reports: {dicomweb: {url: 'http://bob:hunter2@pacs/dicom-web'}}",
        "dose_reports: {dicomweb: {url: 'http://pacs/', password_env: 'hunter2!'}}",
    ],
)
def test_a_secret_in_site_yaml_is_refused_and_not_repeated(tmp_path: Path, site: str) -> None:
    assert "hunter2" not in refused(make_site(tmp_path, site=site))


def test_no_folder_and_no_site_yaml_are_one_sentence_each(tmp_path: Path) -> None:
    assert "the site folder does not exist" in refused(tmp_path / "nowhere")
    root = make_site(tmp_path / "site")
    (root / "site.yaml").unlink()
    assert refused(root).startswith("site.yaml: does not exist")


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    root = make_site(
        tmp_path,
        site="langage: en\nname: ''\n",
        source=SOURCE.replace("layout: rate_samples", "layout: rates"),
        rooms="room_id,specialty\nR1,cardiologist\n",
    )
    (root / "reference/dosimeters.csv").unlink()
    places = [(problem.file, problem.field) for problem in check_site(root)]
    for place in [
        ("site.yaml", "langage"),
        ("site.yaml", "name"),
        ("sources/rates.yaml", "layout"),
        ("reference/dosimeters.csv", None),
        ("reference/rooms.csv", "specialty"),
    ]:
        assert place in places


def test_a_source_must_be_called_as_its_file(tmp_path: Path) -> None:
    root = make_site(tmp_path)
    write(root, "sources/other.yaml", SOURCE)
    assert "sources/other.yaml, field source_id: is 'rates'" in refused(root)


def test_names_that_are_nearly_read_are_told(tmp_path: Path) -> None:
    root = make_site(tmp_path, log_book="study_instance_uid\n")
    write(root, "sources/extra.yml", SOURCE)
    write(root, "reference/notes.txt", "x")
    messages = [str(problem) for problem in load_site(root).problems]
    assert messages == [
        "reference/log_book.csv: is not read; did you mean logbook.csv?",
        "sources/extra.yml: is not read; call it extra.yaml",
    ]


def test_a_hub_in_no_room_is_a_finding(tmp_path: Path) -> None:
    site = load_site(make_site(tmp_path, source=SOURCE.replace("CATH1", "CATH9")))
    assert [problem.code for problem in site.problems] == ["unknown_hub_room"]
    assert "CATH9" in site.problems[0].message


@pytest.mark.parametrize("hospital", ["hospital_clean", "hospital_tiny"])
def test_the_shared_hospitals_have_no_problem(hospital: str) -> None:
    if not (SHARED / hospital).exists():
        pytest.skip("the shared test hospitals are not beside this checkout")
    assert check_site(SHARED / hospital) == []


def test_a_new_site_folder_has_no_problem_and_its_example_source_is_legal(tmp_path: Path) -> None:
    root = tmp_path / "Hospital Nuevo"
    create_site(root)
    assert check_site(root) == []
    assert load_site(root).config.site_id == "hospital_nuevo"
    write(root, "sources/cath_rates.yaml", (root / "sources/example.yaml.txt").read_bytes())
    assert {problem.code for problem in load_site(root).problems} == {"unknown_hub_room"}


def test_a_folder_that_holds_something_is_not_made_a_site(tmp_path: Path) -> None:
    write(tmp_path, "mine.txt", "x")
    with pytest.raises(Exception, match="is not empty"):
        create_site(tmp_path)


_keys = st.text("abcdefghij_", min_size=1, max_size=12)
_scalars = st.one_of(st.none(), st.booleans(), st.integers(-99, 99), st.sampled_from(["no", "x: y", "- a", "'", "1e3"]))


@given(st.dictionaries(_keys, st.one_of(_scalars, st.lists(_scalars, max_size=3)), max_size=5))
def test_unknown_keys_are_refused_whatever_they_hold(data: dict[str, object]) -> None:
    import json  # JSON is YAML: a writer of our own files that is not our reader

    unknown = {f"x_{key}": value for key, value in data.items()}
    document = read_yaml(json.dumps(unknown).encode(), "site.yaml")
    assert document.data == unknown
    if unknown:
        with pytest.raises(ValueError, match="Extra inputs"):
            SiteConfig.model_validate(document.data)


@pytest.mark.parametrize(
    ("address", "is_fine"),
    [
        ("https://dose.hospital.example/", True),
        ("http://10.0.0.7:8080/dose", True),
        ("file:///srv/dose/published/current", True),
        ("javascript:alert(1)", False),
        ("https://user:secret@dose.hospital.example", False),
        ("https://dose.hospital.example/?next=x", False),
        ("dose.hospital.example", False),
        ("https://dose.hospital.example/a b", False),
    ],
)
def test_pages_url_is_an_address_that_a_letter_may_name(address: str, is_fine: bool) -> None:
    if is_fine:
        assert SiteConfig(pages_url=address).pages_url == address.rstrip("/")
    else:
        with pytest.raises(ValidationError, match="published/current"):
            SiteConfig(pages_url=address)
