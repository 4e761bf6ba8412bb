"""What a whole night leaves behind, under attack: nothing of a patient anywhere, nothing restricted for anybody else.

Every byte and every text below data_dir is looked at, by somebody who knows what must not be there.
"""

from __future__ import annotations

import csv
import os
import re
import stat
from collections.abc import Iterator
from datetime import UTC, date, datetime
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import duckdb
import pydicom
import pytest
import yaml
from support.orthanc import LOGIN, orthanc
from support.small_site import KEY, write
from typer.testing import CliRunner

from ingest.pseudonymise import WrongKey
from orchestration.cli import app
from orchestration.console.doctor import examine
from orchestration.nightly import run_nightly
from orchestration.resources import silent
from synthetic_hospital import truth_folder, write_hospital

AS_OF = date(2024, 4, 30)
CD_OF_A_PATIENT = "VERTANGIER Zdenka 1961-02-03"
PHYSICIAN = "occupational.physician@hospital.example"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A published hospital with untidy reports, in which a nurse is pregnant."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOSELEDGER_KEY", KEY["DOSELEDGER_KEY"])
        root = tmp_path_factory.mktemp("hospital") / "site"
        write_hospital(root, "tiny-paper")
        declare_pregnancy(root)
        for name in ("README.TXT", "IM0001.dcm", "viewer.ini"):
            write(root, f"inbox/dose_reports/{CD_OF_A_PATIENT}/{name}", f"no dose report: {name}")
        config = yaml.safe_load((root / "site.yaml").read_text("utf-8"))
        config["mail"] = config.get("mail", {}) | {"restricted": [PHYSICIAN]}
        write(root, "site.yaml", yaml.safe_dump(config))
        result = run_nightly(root, AS_OF, silent)
        assert result.outcome == "published", result.reasons
        yield root


# A passive badge under a nurse's apron: 0.3 mSv in a month of a declared pregnancy, three times the first step.
UNDER_APRON = """\
source_id: under_apron
layout: badge_periods
file_pattern: "*.csv"
encoding: utf-8
delimiter: ";"
decimal: "."
timezone: Europe/Madrid
dst: true
datetime_format: iso8601
columns: {dosimeter_serial: Badge, period_begin: From, period_end: To, hp10: Dose}
units: {hp10: mSv}
"""


def declare_pregnancy(root: Path) -> None:
    operators, dosimeters = root / "reference" / "operators.csv", root / "reference" / "dosimeters.csv"
    with operators.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    nurse = {"operator_id": "NURSE", "name": "Wintergreen, Ada", "grade": "nurse", "worker_category": "A"}
    rows.append(dict.fromkeys(rows[0], "") | nurse | {"pregnancy_declared_on": "2024-02-15"})
    with operators.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    with dosimeters.open("a", encoding="utf-8", newline="") as file:
        file.write("BELLY1,under_apron_chest,NURSE,,2024-02-15,\n")
    write(root, "sources/under_apron.yaml", UNDER_APRON)
    write(root, "inbox/dosimeters/under_apron/march.csv", "Badge;From;To;Dose\nBELLY1;2024-03-01;2024-03-31;0.3\n")


def current(site: Path) -> Path:
    return (site / "data" / "published" / "current").resolve()


def texts_of(relation: str, con: duckdb.DuckDBPyConnection) -> Iterator[str]:
    """Every text that a table or a Parquet file holds, also where the file keeps it compressed."""
    for name, kind, *_ in con.execute(f"describe from {relation}").fetchall():
        if "VARCHAR" in kind:
            for (text,) in con.execute(f'select distinct "{name}"::varchar from {relation}').fetchall():
                yield text or ""


def content(file: Path) -> Iterator[str]:
    """All that can be read in a file."""
    yield file.read_bytes().decode("utf-8", "replace")
    if file.suffix == ".duckdb":
        with duckdb.connect(file, read_only=True) as con:
            tables = con.execute("select concat_ws('.', schema_name, table_name) from duckdb_tables()").fetchall()
            for (table,) in tables:
                yield from texts_of(table, con)
    elif file.suffix == ".parquet":
        with duckdb.connect() as con:
            yield from texts_of(f"'{file}'", con)
    elif file.suffix == ".eml":
        letter = message_from_bytes(file.read_bytes(), policy=default)
        yield from (part.get_content() for part in letter.walk() if part.get_content_maintype() == "text")


def files(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.is_file()]


def is_said(secret: str, text: str) -> bool:
    """Digits within more digits are chance: a letter's boundary has nineteen of them."""
    return not secret.isdigit() or re.search(rf"(?<!\d){secret}(?!\d)", text) is not None


def holding(folder: Path, secrets: set[str]) -> dict[str, str]:
    """Files that hold one of the strings, with the first one found."""
    found: dict[str, str] = {}
    for file in files(folder):
        for text in content(file):
            held = next((secret for secret in secrets if secret in text and is_said(secret, text)), None)
            if held:
                found[str(file.relative_to(folder))] = held
                break
    return found


def test_nothing_of_a_patient_is_in_any_byte(site: Path) -> None:
    with (truth_folder(site) / "truth_phi.csv").open(encoding="utf-8", newline="") as file:
        secrets = {row["string"] for row in csv.DictReader(file)}
    for path in files(site / "inbox" / "dose_reports"):
        born = str(pydicom.dcmread(path, force=True, specific_tags=["PatientBirthDate"]).get("PatientBirthDate") or "")
        if len(born) == 8:
            secrets |= {born, f"{born[:4]}-{born[4:6]}-{born[6:]}"}
    assert len(secrets) > 100
    assert holding(site / "inbox", secrets)  # the attack finds what is there
    assert holding(site / "data", secrets) == {}


def test_a_folder_named_after_a_patient_is_known_to_the_own_account_only(site: Path) -> None:
    assert set(holding(site / "data", {"VERTANGIER", "Zdenka"})) == {"build/doseledger.duckdb"}
    with duckdb.connect(current(site) / "warehouse.duckdb", read_only=True) as con:
        refused = con.execute("select path from ledger.file where status in ('not_dose', 'quarantined')").fetchall()
    for ending in ("txt", "dcm", "ini"):
        assert any(re.fullmatch(rf"inbox/dose_reports/[0-9a-f]{{16}}\.{ending}", path) for (path,) in refused)


def test_the_key_is_nowhere(site: Path) -> None:
    assert holding(site / "data", {KEY["DOSELEDGER_KEY"]}) == {}


def test_a_wrong_key_is_refused_and_changes_nothing(site: Path) -> None:
    before = current(site)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOSELEDGER_KEY", "another key, which is long enough")
        with pytest.raises(WrongKey, match="give the former key"):
            run_nightly(site, AS_OF, silent)
    assert current(site) == before


def test_a_restricted_finding_reaches_nobody_else(site: Path) -> None:
    with duckdb.connect(current(site) / "restricted" / "restricted.duckdb", read_only=True) as con:
        rows = con.execute("select alert_id, message from alerts.alert where audience = 'restricted'").fetchall()
        declared = con.execute("select count(*) from marts.dim_operator where pregnancy_declared_on is not null")
        assert declared.fetchone() != (0,)
    assert rows
    secrets = {text for row in rows for text in row if text}
    held = {Path(name).parts[0] for name in holding(current(site), secrets)}
    assert held == {"restricted"}
    # Its own letter tells it; the account that runs it keeps it in the build database and among what was told.
    told = holding(site / "data", secrets)
    letters = [site / "data" / name for name in told if name.startswith("outbox/")]
    assert {message_from_bytes(letter.read_bytes(), policy=default)["To"] for letter in letters} == {PHYSICIAN}
    elsewhere = {Path(name).parts[0] for name in told} - {"outbox"}
    assert elsewhere <= {"published", "build", "delivery"}
    assert {name for name in told if name.startswith("build/")} == {"build/doseledger.duckdb"}
    for name in ("build", "build/doseledger.duckdb", "delivery", "outbox"):
        assert stat.S_IMODE((site / "data" / name).stat().st_mode) & 0o077 == 0, name


def test_staff_are_named_to_the_occupational_physician_and_on_the_pages_of_medical_physics_only(site: Path) -> None:
    with (site / "reference" / "operators.csv").open(encoding="utf-8", newline="") as file:
        people = list(csv.DictReader(file))
    names, addresses = ({row[column] for row in people} - {""} for column in ("name", "email"))
    assert {Path(name).parts[0] for name in holding(current(site), addresses)} == {"restricted"}
    named = holding(current(site), names)
    assert {Path(name).parts[0] for name in named if not name.startswith("pages/physics/")} == {"restricted"}
    identifiers = {row["operator_id"] for row in people}
    assert not any(identifiers & set(content(file)) for file in files(current(site) / "department"))


def test_the_department_gets_aggregates_only(site: Path) -> None:
    file = current(site) / "department" / "warehouse.duckdb"
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    with duckdb.connect(file, read_only=True) as con:
        tables = con.execute("select schema_name, table_name from duckdb_tables() order by 2").fetchall()
        assert tables == [("department", "dose_statistics"), ("department", "publication")]
        assert con.execute("select run_id from department.publication").fetchall() == [(current(site).name,)]
        columns = [row[0] for row in con.execute("describe department.dose_statistics").fetchall()]
    assert [name for name in columns if name.endswith(("_id", "_uid", "_key", "_at", "_date"))] == []


def test_the_doctor_is_content_with_servers_that_answer_and_names_those_that_do_not(site: Path, tmp_path: Path) -> None:
    config = yaml.safe_load((site / "site.yaml").read_text("utf-8"))
    with orthanc(tmp_path / "pacs") as pacs:
        config["dose_reports"] = {"dicomweb": pacs.dicomweb(), "dimse": pacs.cget()}
        (site / "site.yaml").write_text(yaml.safe_dump(config), "utf-8")
        environ = os.environ | KEY | LOGIN
        findings = list(examine(site, environ, datetime.now(UTC)))
        assert [finding for finding in findings if finding.state == "fail"] == []
        assert [finding.state for finding in findings if finding.topic == "pacs"] == ["ok", "ok"]
        wrong = list(examine(site, environ | {"PACS_PASSWORD": "wrong"}, datetime.now(UTC)))
        assert [finding.state for finding in wrong if finding.topic == "pacs"] == ["fail", "ok"]
    down = list(examine(site, environ, datetime.now(UTC)))
    assert [finding.state for finding in down if finding.topic == "pacs"] == ["fail", "fail"]
    result = CliRunner().invoke(app, ["doctor", "--site", str(site)], env=KEY | LOGIN)
    assert result.exit_code == 1
    assert "✗ pacs" in result.output
    assert "✓ publication" in result.output
