"""Schedules and sensors whose last tick is of a time to come begin again from now; the others keep their ticks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import (
    InProcessCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    ScheduleInstigatorData,
    SensorInstigatorData,
    TickData,
    TickStatus,
)
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from support.small_site import make_site

from orchestration.console.doctor import examine
from orchestration.dagster_home.instance import dagster_home
from orchestration.dagster_home.ticks_to_come import forget_ticks_to_come, latest_to_come

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
YEARS_AHEAD = NOW + timedelta(days=3000)
YESTERDAY = NOW - timedelta(days=1)
REPOSITORY = RemoteRepositoryOrigin(
    InProcessCodeLocationOrigin(LoadableTargetOrigin(module_name="orchestration.definitions")), "repository"
)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return make_site(tmp_path / "site")


@pytest.fixture
def instance(site: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.from_config(str(dagster_home(site))) as instance:
        yield instance


def ticked(
    instance: dg.DagsterInstance,
    name: str,
    at: datetime,
    status: InstigatorStatus = InstigatorStatus.DECLARED_IN_CODE,
    *,
    is_sensor: bool = False,
    has_tick: bool = True,
) -> tuple[str, str]:
    """Records what Dagster's daemon records of a schedule or sensor that it looked at."""
    kind = InstigatorType.SENSOR if is_sensor else InstigatorType.SCHEDULE
    data = (
        SensorInstigatorData(last_tick_timestamp=at.timestamp(), last_tick_start_timestamp=at.timestamp())
        if is_sensor
        else ScheduleInstigatorData("30 3 * * *", last_iteration_timestamp=at.timestamp())
    )
    state = InstigatorState(RemoteInstigatorOrigin(REPOSITORY, name), kind, status, data)
    instance.add_instigator_state(state)
    if has_tick:
        instance.create_tick(
            TickData(
                state.instigator_origin_id,
                name,
                kind,
                TickStatus.SUCCESS,
                at.timestamp(),
                run_ids=[],
                selector_id=state.selector_id,
            )
        )
    return state.instigator_origin_id, state.selector_id


def test_what_waits_for_a_time_to_come_begins_again_and_the_rest_is_kept(instance: dg.DagsterInstance) -> None:
    ahead = ticked(instance, "nightly_at_0330", YEARS_AHEAD)
    unticked = ticked(instance, "unticked", YEARS_AHEAD, has_tick=False)
    sensor = ticked(instance, "inbox", YEARS_AHEAD, is_sensor=True)
    stopped = ticked(instance, "stopped", YEARS_AHEAD, InstigatorStatus.STOPPED)
    past = ticked(instance, "past", YESTERDAY)
    assert latest_to_come(instance, NOW) == YEARS_AHEAD
    assert forget_ticks_to_come(instance, NOW) == ["inbox", "nightly_at_0330", "stopped", "unticked"]
    for ids in (ahead, unticked, sensor):
        assert instance.get_instigator_state(*ids) is None
        assert instance.get_ticks(*ids) == []
    assert instance.get_ticks(*stopped) == []
    kept = instance.get_instigator_state(*stopped)
    assert kept is not None
    assert not kept.is_running
    assert [tick.timestamp for tick in instance.get_ticks(*past)] == [YESTERDAY.timestamp()]
    assert instance.get_instigator_state(*past) is not None
    assert forget_ticks_to_come(instance, NOW) == []


def test_a_clock_that_is_set_by_some_minutes_changes_nothing(instance: dg.DagsterInstance) -> None:
    ids = ticked(instance, "nightly_at_0330", NOW + timedelta(minutes=9))
    assert latest_to_come(instance, NOW) is None
    assert forget_ticks_to_come(instance, NOW) == []
    assert len(instance.get_ticks(*ids)) == 1


def test_the_doctor_says_what_to_do(site: Path, instance: dg.DagsterInstance) -> None:
    ticked(instance, "nightly_at_0330", YEARS_AHEAD)
    (finding,) = [finding for finding in examine(site, {}, NOW) if finding.topic == "daemon"]
    assert finding.state == "fail"
    assert "wait for 2034-05-21 12:00 UTC" in finding.sentence
    assert "end `doseledger ui` and start it again" in finding.sentence
