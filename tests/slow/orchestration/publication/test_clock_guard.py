"""A date that cannot be right: refused before anything is read, said where it is found, and a way out of it."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from support.small_build import make_build, pass_gate
from support.small_site import KEY, RATES, export, make_site, write
from typer.testing import CliRunner

from ingest.pseudonymise import load_key
from ingest.raw.build_db import open_build
from ingest.raw.reference_load import load_reference
from ingest.site.config import load_site
from orchestration.automation import inbox_sensor
from orchestration.cli import app
from orchestration.console.doctor import examine
from orchestration.dagster_home.instance import dagster_home
from orchestration.definitions import build_definitions
from orchestration.publication import clock_guard
from orchestration.publication.clock_guard import ClockRefused, run_date
from orchestration.publication.history import Clock, Entry, current_publication
from orchestration.publication.publish import publish
from orchestration.resources import SiteResource

NIGHT = datetime(2024, 4, 10, 1, 30, tzinfo=UTC)  # 03:30 in Madrid


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOSELEDGER_KEY", KEY["DOSELEDGER_KEY"])


class Site:
    """A site that published on one night, as of some date, and whose computer's clock can be set."""

    def __init__(self, root: Path, patch: pytest.MonkeyPatch) -> None:
        self.root = make_site(root)
        self.patch = patch
        self.set_clock(NIGHT)

    def set_clock(self, now: datetime) -> None:
        """The instant that this computer's clock shows."""
        self.patch.setattr(clock_guard, "now", lambda: now)

    def published(self, as_of: str, at: datetime) -> str:
        """Publishes and gives the run that readers see."""
        build = make_build(self.root.parent / f"{as_of}.duckdb", as_of, fingerprint=as_of)
        pass_gate(build)
        publish(build, self.root / "data" / "published", now=at)
        return self.current()

    def current(self) -> str:
        """The run that readers see."""
        current = current_publication(self.root / "data" / "published")
        return current.run_id if current else "none"

    def date_of_run(self, as_of: str | None, *, has_new_files: bool) -> str:
        """The date of a run, or why there is none."""
        try:
            day = run_date(load_site(self.root), date.fromisoformat(as_of) if as_of else None, lambda: has_new_files)
        except ClockRefused as refused:
            return str(refused)
        return str(day)

    def call(self, *arguments: str) -> tuple[int, str]:
        """Exit code and output of a command."""
        result = CliRunner().invoke(app, [*arguments, "--site", str(self.root)])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result.exit_code, result.output


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    return Site(tmp_path / "site", monkeypatch)


COMING = "is of a time to come"
NO_FILE = "no file has come since"
# The table of docs/operations/clock.md: days from the publication to the clock, the date asked for, a new file, answer.
TABLE = [
    (None, None, False, "2024-04-10"),
    (None, "2024-04-01", False, "2024-04-01"),
    (None, "2024-04-11", True, "is later than today"),
    (1, None, False, "2024-04-10"),
    (1, "2024-04-10", False, "2024-04-10"),
    (1, "2024-04-01", False, "2024-04-01"),
    (1, "2024-04-11", True, "is later than today"),
    (-1, None, True, COMING),
    (-1, "2024-04-10", True, COMING),
    (-1, "2024-04-01", True, COMING),
    (400, None, False, "2024-04-10"),
    (401, None, False, NO_FILE),
    (401, None, True, "2024-04-10"),
    (401, "2024-04-10", False, "2024-04-10"),
    (401, "2022-12-31", False, "2022-12-31"),
    (4000, None, False, NO_FILE),
]


@pytest.mark.parametrize(("days", "as_of", "has_new_files", "answer"), TABLE)
def test_each_combination(site: Site, days: int | None, as_of: str | None, has_new_files: bool, answer: str) -> None:
    if days is not None:
        at = NIGHT - timedelta(days=days)
        site.published(str(at.date()), at)
    said = site.date_of_run(as_of, has_new_files=has_new_files)
    assert answer in said
    assert "\n" not in said


def test_a_publication_as_of_a_date_to_come_is_found_and_left(site: Site) -> None:
    folder = load_site(site.root)
    with open_build(folder, load_key("small", KEY)) as con:
        load_reference(con, folder)
    good = site.published("2024-04-08", NIGHT - timedelta(days=2))
    ahead = site.published("2034-03-20", datetime(2034, 3, 20, 1, 30, tzinfo=UTC))
    assert COMING in site.date_of_run(None, has_new_files=True)
    (finding,) = [finding for finding in examine(site.root, os.environ, NIGHT) if finding.topic == "publication"]
    assert (finding.state, "`doseledger rollback`" in finding.sentence) == ("fail", True)
    code, said = site.call("status")
    assert COMING in said
    assert "`doseledger rollback`" in said
    for command in ("run", "rebuild", "pull"):
        code, said = site.call(command)
        assert (code, COMING in " ".join(said.split())) == (1, True), said
    assert site.current() == ahead
    assert site.call("rollback")[0] == 0
    assert site.current() == good
    assert site.date_of_run(None, has_new_files=False) == "2024-04-10"


def test_a_publication_of_the_past_may_be_as_of_a_date_to_come() -> None:
    """As `run --as-of` made it before such dates were refused."""
    clock = Clock(NIGHT, NIGHT.date())
    entry = Entry("run", NIGHT, date(2034, 3, 20), 1, None, None)
    assert clock.is_before(entry)
    assert not clock.is_before(entry._replace(as_of=NIGHT.date(), published_at=NIGHT + timedelta(minutes=9)))


def test_a_whole_night_under_the_guard(site: Site) -> None:
    """From the command line and as a job of Dagster's daemon."""
    write(site.root, f"{RATES}/a.csv", export(3600, 7200))
    assert "2024-04-11 is later than today" in " ".join(site.call("run", "--as-of", "2024-04-11")[1].split())
    assert not load_site(site.root).build_db.exists()
    code, said = site.call("run")
    assert code == 0, said
    run = site.current()
    code, said = site.call("run", "--as-of", "2024-04-01")
    assert code == 0, said
    first = next(line for line in said.splitlines() if line[:1] in set("!•✓✗"))  # after the bars of progress
    assert first.startswith(f"! `current` stays {run}, as of 2024-04-10: this run is as of the earlier date 2024-04-01")
    assert site.current() == run

    write(site.root, f"{RATES}/b.csv", export(3600, day=6))
    site.set_clock(NIGHT + timedelta(days=3650))
    code, said = site.call("run")
    assert code == 0, said
    first = next(line for line in said.splitlines() if line[:1] in set("!•✓✗"))
    assert first.startswith("• This computer's clock shows")
    site.set_clock(NIGHT + timedelta(days=1))
    assert COMING in " ".join(site.call("run")[1].split())
    assert site.call("rollback")[0] == 0
    assert site.current() == run
    code, said = site.call("run")
    assert code == 0, said
    assert f"as of {NIGHT.date() + timedelta(days=1)}" in said, said
    assert site.current() != run
    run = site.current()

    job = build_definitions(site.root).resolve_job_def("nightly")
    with dg.DagsterInstance.from_config(str(dagster_home(site.root))) as instance:
        for now, as_of, word in (
            (NIGHT + timedelta(days=1), "2024-04-12", "later than today"),
            (NIGHT - timedelta(days=30), "", COMING),
            (NIGHT + timedelta(days=500), "", NO_FILE),
        ):
            site.set_clock(now)
            config = {"ops": {"dbt_models": {"config": {"as_of": as_of}}}}
            with pytest.raises(dg.DagsterError) as refused:
                job.execute_in_process(instance=instance, run_config=config)
            assert isinstance(refused.value.__cause__, ClockRefused)
            assert word in str(refused.value.__cause__)
    assert site.current() == run


def test_the_sensor_asks_for_no_run_that_would_be_refused(site: Site) -> None:
    site.published("2024-04-09", NIGHT - timedelta(days=1))
    write(site.root, f"{RATES}/a.csv", export(1))

    def answer() -> dg.RunRequest | dg.SkipReason:
        with dg.build_sensor_context(resources={"site": SiteResource(root=str(site.root))}) as context:
            answered = inbox_sensor(context)
        assert isinstance(answered, dg.RunRequest | dg.SkipReason)
        return answered

    assert isinstance(answer(), dg.RunRequest)
    site.set_clock(NIGHT - timedelta(days=30))
    skipped = answer()
    assert isinstance(skipped, dg.SkipReason)
    assert COMING in str(skipped.skip_message)
