"""What starts a run and what retries a step: one run for each arrival, no date moves by itself, servers get time."""

from __future__ import annotations

import time
from datetime import date
from pathlib import Path

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.small_site import KEY, RATES, export, looking, make_site, run, write

from ingest.pseudonymise import load_key
from ingest.raw.file_ledger import News, whats_new
from ingest.site.config import Site, load_site
from ingest.sources.pull import Pulled
from orchestration.automation import NIGHTLY, inbox_sensor
from orchestration.dagster_home.instance import dagster_home
from orchestration.definitions import build_definitions
from orchestration.nightly import run_nightly
from orchestration.publication.history import current_publication
from orchestration.resources import SiteResource, silent

FIXED = "site_id: small\nname: Small\nas_of: fixed\n"


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOSELEDGER_KEY", KEY["DOSELEDGER_KEY"])
    monkeypatch.delenv("DOSELEDGER_SMTP_URL", raising=False)


def look(root: Path) -> dg.RunRequest | dg.SkipReason:
    with dg.build_sensor_context(resources={"site": SiteResource(root=str(root))}) as context:
        answer = inbox_sensor(context)
    assert isinstance(answer, dg.RunRequest | dg.SkipReason)
    return answer


def run_key(root: Path) -> str:
    request = look(root)
    assert isinstance(request, dg.RunRequest), request
    return str(request.run_key)


def test_two_arrivals_within_an_hour_are_two_runs(tmp_path: Path) -> None:
    """Also of as many files, and of the same bytes at the same path; one that could not be read is one arrival."""
    root = make_site(tmp_path / "site")
    run(root)
    keys = []
    for name, content in (("a", export(1)), ("b", export(2)), ("c", "Badge;Time;Rate;Hub\n"), ("a", export(1, 9))):
        write(root, f"{RATES}/{name}.csv", content)
        keys.append(run_key(root))
        assert "1 dosimeter export (" in keys[-1]
        assert run_key(root) == keys[-1]  # the same arrival until it is read
        run(root)
        assert isinstance(look(root), dg.SkipReason)
    assert len(set(keys)) == len(keys)


@given(st.builds(News, *[st.integers(0, 2)] * 2, st.booleans(), st.booleans(), st.integers(0, 2)))
def test_news_is_words_without_a_class_name(news: News) -> None:
    assert ("News" in str(news), "=" in str(news)) == (False, False)
    assert (str(news) == "nothing new") == (not news)


def test_the_arrival_names_no_file(tmp_path: Path) -> None:
    root = make_site(tmp_path / "site")
    write(root, f"{RATES}/DOE_JANE.csv", export(1))
    news = whats_new(load_site(root), load_key("small", KEY))
    assert "DOE" not in f"{news} {news.arrival}"


def test_a_fixed_date_is_moved_by_neither_sensor_nor_schedule(tmp_path: Path) -> None:
    root = make_site(tmp_path / "site", site=FIXED)
    skipped = look(root)
    assert isinstance(skipped, dg.SkipReason)
    assert "field as_of: the date is fixed, and nothing was published yet" in str(skipped.skip_message)
    run_nightly(root, date(2024, 3, 31), silent)
    write(root, f"{RATES}/a.csv", export(3600, 7200))
    request = look(root)
    assert isinstance(request, dg.RunRequest)
    job = build_definitions(root).resolve_job_def(NIGHTLY.name)
    with dg.DagsterInstance.from_config(str(dagster_home(root))) as instance:
        assert job.execute_in_process(instance=instance, run_config=request.run_config).success
    site = load_site(root)
    current = current_publication(site.published_dir)
    assert current is not None
    assert current.as_of == date(2024, 3, 31)
    with looking(root) as con:
        assert con.execute("select count(*) from marts.fct_operator_procedure").fetchone() is not None
        assert con.execute("select count(*) from raw.dose_record").fetchone() == (2,)
    assert run_nightly(root, None, silent).outcome == "nothing_new"


def test_a_server_that_is_away_for_a_minute_is_asked_again_and_nothing_else_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The waiting is replaced by its record; the first attempt to read with another key fails at once."""
    root = make_site(tmp_path / "site", site=FIXED)
    run_nightly(root, date(2024, 3, 31), silent)
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    clock = time.time
    monkeypatch.setattr(time, "time", lambda: clock() + sum(waits))
    asked: list[Site] = []

    def pull(failing: int) -> dg.ExecuteInProcessResult:
        asked.clear()

        def answers(site: Site) -> list[Pulled]:
            asked.append(site)
            failures = ["pacs does not answer."] if len(asked) <= failing else []
            return [Pulled("pacs", failures=failures)]

        job = build_definitions(root, silent, answers, is_retried=True).resolve_job_def(NIGHTLY.name)
        with dg.DagsterInstance.from_config(str(dagster_home(root))) as instance:
            return job.execute_in_process(instance=instance, raise_on_error=False)

    assert pull(failing=1).success
    assert len(asked) == 2
    assert pull(failing=9).success  # what was not answered stops no night
    assert len(asked) == 3
    (check,) = [
        check for check in pull(failing=9).get_asset_check_evaluations() if check.check_name == "every_server_gave_all"
    ]
    assert not check.passed

    waits.clear()
    monkeypatch.setenv("DOSELEDGER_KEY", "fedcba9876543210fedcba9876543210")
    refused = pull(failing=0)
    assert not refused.success
    assert not [event for event in refused.all_events if event.event_type_value == "STEP_UP_FOR_RETRY"]
