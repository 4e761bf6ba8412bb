"""Jobs with dates in their config: chosen dates are built anew, others are not; dates not filled in are refused."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import dagster as dg
import pytest
from support.small_site import KEY, RATES, export, looking, make_site, run, write

from ingest.problems import UserError
from ingest.site.config import load_site
from orchestration.assets import BuildConfig
from orchestration.automation import A_DATE, AS_OF, REBUILD_DATES
from orchestration.dagster_home.instance import dagster_home
from orchestration.dbt_build import build_tables
from orchestration.definitions import build_definitions
from orchestration.publication.build_record import forget_dates
from orchestration.steps import DBT_MODELS

DAYS = {5, 9, 20}
TABLE = "int_badge_day"  # an incremental one with few tables before it


def built(root: Path) -> dict[tuple[str, int], str]:
    """Builds one table with all before it; the build that made each date of it and of incremental ones before it."""
    selection = ("--select", f"+{TABLE}", "--exclude-resource-type", "test")
    assert build_tables(load_site(root).build_db, date(2024, 3, 31), selection=selection).failures == []
    with looking(root) as con:
        rows = con.execute("select model, partition_date, build_id from ops.date_partition").fetchall()
    return {(model, date.day): build_id for model, date, build_id in rows if date.day in DAYS}


def test_chosen_dates_are_built_anew_and_no_others(tmp_path: Path) -> None:
    root = make_site(tmp_path / "site")
    for day in DAYS:
        write(root, f"{RATES}/{day}.csv", export(3600, 7200, day=day))
    run(root)
    with looking(root) as con:
        assert forget_dates(con, date(2024, 3, 6), date(2024, 3, 10)) == 0  # nothing was built yet
    first = built(root)
    assert {day for model, day in first if model == TABLE} == DAYS
    with looking(root) as con:
        rows = con.execute(f"from intermediate.{TABLE} order by all").fetchall()
        n_tables = len({model for model, _ in first})
        assert forget_dates(con, date(2024, 3, 6), date(2024, 3, 10)) == n_tables
        assert con.execute(f"from intermediate.{TABLE} order by all").fetchall() == rows  # until they are replaced
    again = built(root)
    assert {day for (model, day), build in again.items() if build != first[model, day]} == {9}
    assert all(again[model, day] != first[model, day] for model, day in first if day == 9)
    with looking(root) as con:
        assert con.execute(f"from intermediate.{TABLE} order by all").fetchall() == rows


@pytest.mark.parametrize(
    ("begin", "end", "refusal"),
    [
        (A_DATE, A_DATE, "must both be dates"),
        ("2024-03-06", "", "must both"),
        ("2024-03-06", "2024-03-05", "later than"),
    ],
)
def test_dates_that_are_none_are_refused(begin: str, end: str, refusal: str) -> None:
    with pytest.raises(UserError, match=refusal):
        BuildConfig(rebuild_from=begin, rebuild_to=end).dates_to_rebuild()
    assert BuildConfig().dates_to_rebuild() is None


def test_a_run_as_of_a_date_that_was_not_filled_in_is_refused_before_it_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOSELEDGER_KEY", KEY["DOSELEDGER_KEY"])
    root = make_site(tmp_path / "site")
    job = build_definitions(root).resolve_job_def(AS_OF.name)
    with dg.DagsterInstance.from_config(str(dagster_home(root))) as instance:
        refused = job.execute_in_process(
            instance=instance,
            raise_on_error=False,
            run_config={"ops": {DBT_MODELS: {"config": {"as_of": A_DATE}}}},
        )
    assert not refused.get_step_failure_events()
    assert "no date such as 2024-03-31" in str(refused.get_run_failure_event().job_failure_data.error)


def test_the_jobs_say_why_there_are_no_partitions() -> None:
    definitions = build_definitions(None)
    for name in (REBUILD_DATES.name, AS_OF.name):
        description = str(definitions.resolve_job_def(name).description)
        assert "There are no partitions: a late file changes dates of any month" in description
        assert "launchpad" in description
