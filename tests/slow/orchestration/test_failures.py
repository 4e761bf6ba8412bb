"""A run that failed is told to mail.operations: from the command line, by Dagster, never with patient data."""

from __future__ import annotations

from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

import dagster as dg
import pytest
from filelock import FileLock
from support.small_site import KEY, make_site, write
from typer.testing import CliRunner

from ingest.problems import SiteError
from ingest.pseudonymise import load_key
from ingest.raw.build_db import AlreadyRunning, open_build, run_lock
from ingest.raw.reference_load import load_reference
from ingest.site.config import load_site
from ingest.sources.pull import Pulled
from orchestration.automation import NIGHTLY, operations_letter_sensor
from orchestration.cli import app
from orchestration.dagster_home.instance import dagster_home
from orchestration.definitions import build_definitions
from orchestration.failures import notify_operations
from orchestration.letters.operations import Trouble
from orchestration.nightly import run_nightly
from orchestration.resources import SiteResource, silent

SITE = "site_id: small\nname: Small\nlanguage: fr\nmail: {operations: [ops@hospital.example]}\n"
OTHER_KEY = "fedcba9876543210fedcba9876543210"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A site whose reference files were read, and whose failures are told."""
    monkeypatch.setenv("DOSELEDGER_KEY", KEY["DOSELEDGER_KEY"])
    monkeypatch.delenv("DOSELEDGER_SMTP_URL", raising=False)
    root = make_site(tmp_path / "site", site=SITE)
    with open_build(load_site(root), load_key("small", KEY)) as con:
        load_reference(con, load_site(root))
    return root


def letters_to_operations(root: Path) -> list[str]:
    """Subject and text of each, in the order in which they were written."""
    files = sorted((root / "data" / "outbox").glob("*_operations_*.eml"), key=lambda file: file.stat().st_mtime_ns)
    letters = [message_from_bytes(file.read_bytes(), policy=SMTP) for file in files]
    return [f"{letter['Subject']}\n{_plain(letter)}" for letter in letters]


def _plain(letter: EmailMessage) -> str:
    body = letter.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


def run_that_fails(root: Path) -> dg.DagsterEvent:
    """A run as the daemon starts it, then the daemon's sensor on failed runs; returns what the sensor was told."""
    job = build_definitions(root, silent, no_pull).resolve_job_def(NIGHTLY.name)
    with dg.DagsterInstance.from_config(str(dagster_home(root))) as instance:
        result = job.execute_in_process(instance=instance, raise_on_error=False)
        assert not result.success
        failure = result.get_run_failure_event()
        context = dg.build_run_status_sensor_context(
            sensor_name="operations_letter",
            dagster_event=failure,
            dagster_instance=instance,
            dagster_run=result.dagster_run,
            resources={"site": SiteResource(root=str(root))},
        )
        with context.for_run_failure() as of_failure:
            operations_letter_sensor(of_failure)
    return failure


def no_pull(*_: object) -> list[Pulled]:
    return []


def test_a_run_that_cannot_start_is_told_and_its_error_goes_on(site: Path) -> None:
    (site / "reference" / "rooms.csv").unlink()
    for _ in range(2):
        with pytest.raises(SiteError):
            run_nightly(site, None, silent)
    (letter,) = letters_to_operations(site)  # the same trouble once a day
    assert letter.startswith("Small : le passage du ")
    assert "reference/rooms.csv: does not exist" in letter
    assert "doseledger check --site SITE" in letter


def test_a_bug_is_told_by_its_kind_and_not_by_its_words(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def bug(*_: object) -> None:
        raise ZeroDivisionError("DOE^JANE")

    monkeypatch.setattr("orchestration.nightly.pull_all", bug)
    with pytest.raises(ZeroDivisionError):
        run_nightly(site, None, silent)
    (letter,) = letters_to_operations(site)
    assert "ZeroDivisionError" in letter
    assert "DOE" not in letter


def test_a_second_run_beside_another_is_no_failure(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(*_: object) -> None:
        raise AlreadyRunning("Another run of site 'small' is going on.")

    monkeypatch.setattr("orchestration.nightly.run_lock", busy)
    with pytest.raises(AlreadyRunning), run_lock(load_site(site)):
        run_nightly(site, None, silent)
    assert letters_to_operations(site) == []


def test_without_a_readable_site_yaml_nobody_can_be_written_to(site: Path) -> None:
    write(site, "site.yaml", "site_id: [")
    with pytest.raises(SiteError):
        run_nightly(site, None, silent)
    (note,) = notify_operations(site, [Trouble("site", ("x",))])
    assert "cannot be read" in note


def test_no_place_for_the_letter_is_said_and_hides_nothing(site: Path) -> None:
    write(site, "data/delivery", "a file where a folder should be")
    (note,) = notify_operations(site, [Trouble("gate", ("x",))])
    assert note.startswith("No letter about the failed run could be prepared")


def test_what_names_a_patient_stays_in_the_house(site: Path) -> None:
    sentence = (
        "marts.fct_patient_exposure: x; 2 rows do not agree, e.g. patient_key=0a1b2c, window=all; patient_key=ffee."
        " Look at study_instance_uid=2.25.123."
    )
    notify_operations(site, [Trouble("gate", (sentence,))])
    (letter,) = letters_to_operations(site)
    assert "patient_key=***, window=all; patient_key=***. Look at study_instance_uid=***." in letter
    assert not any(secret in letter for secret in ("0a1b2c", "ffee", "2.25.123"))


def test_a_failed_step_is_told_by_the_command_line_and_by_the_daemons_sensor_once(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOSELEDGER_KEY", OTHER_KEY)
    run_that_fails(site)
    (letter,) = letters_to_operations(site)
    assert letter.count("was made with the pseudonymisation key") == 1  # three steps say the same
    assert "lecture des fichiers" in letter.casefold()
    assert not any(key in letter for key in (KEY["DOSELEDGER_KEY"], OTHER_KEY))

    assert run_nightly(site, None, silent).outcome == "failed"
    assert len(letters_to_operations(site)) == 1


def test_a_run_of_dagster_that_meets_another_ends_at_once_and_tells_nobody(site: Path) -> None:
    with FileLock(load_site(site).build_db.with_name("run.lock")):  # as another process would
        failure = run_that_fails(site)
    assert "Another run of site 'small' is going on" in str(failure.job_failure_data.error)
    assert not letters_to_operations(site)


def test_what_was_published_before_a_step_failed_is_said(site: Path) -> None:
    write(
        site, "reference/logbook.csv", "study_instance_uid,accession_number,operator_id,role\n,,OP1,nurse\n"
    )  # a finding
    outbox = write(site, "data/outbox", "a file where letters should go")
    said = CliRunner().invoke(app, ["run", "--site", str(site), "--as-of", "2024-03-31"])
    (published,) = (site / "data/published/runs").iterdir()
    assert said.exit_code == 1
    assert f"It was published nevertheless ({published.name})" in " ".join(said.output.split())

    outbox.unlink()
    assert CliRunner().invoke(app, ["run", "--site", str(site), "--as-of", "2024-03-31"]).exit_code == 0
    assert list(outbox.glob("*_medical_physics_*.eml"))


def test_a_night_of_which_only_the_pictures_fail_is_told_as_published(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_pictures(*_: object) -> None:
        raise ZeroDivisionError("no pictures")

    monkeypatch.setattr("orchestration.assets.pictures_of", no_pictures)
    said = CliRunner().invoke(app, ["run", "--site", str(site), "--as-of", "2024-03-31"])
    (published,) = (site / "data/published/runs").iterdir()
    (letter,) = letters_to_operations(site)
    assert said.exit_code == 1
    assert f"It was published nevertheless ({published.name})" in " ".join(said.output.split())
    assert "Rien n’a été publié" not in letter
    assert "les graphiques" in letter
    assert (site / "data/published/current").resolve() == published
