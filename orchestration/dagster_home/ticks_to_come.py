"""Ticks of schedules and sensors from a time to come: this computer's clock was ahead while Dagster's daemon ran.

Dagster looks for the next tick after the last one, so it would start no run until that time. Only its own
records are changed here; whether a run may trust the clock is decided in publication/clock_guard.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import dagster as dg

from orchestration.publication.history import CLOCK_STEP


class Waiting(NamedTuple):
    """A schedule or sensor that waits for a time to come, and its latest instant (seconds since 1970)."""

    name: str
    origin_id: str
    selector_id: str
    is_running: bool
    latest: float


def latest_to_come(instance: dg.DagsterInstance, now: datetime) -> datetime | None:
    """The latest instant of a schedule or sensor that is later than now; None if all are of the past."""
    latest = max((waiting.latest for waiting in _waiting(instance, now)), default=None)
    return None if latest is None else datetime.fromtimestamp(latest, UTC)


def forget_ticks_to_come(instance: dg.DagsterInstance, now: datetime) -> list[str]:
    """Lets schedules and sensors begin from now again; one that was stopped by hand stays stopped.

    Args:
        instance: Dagster's records of a site whose daemon is not running.
        now: the instant by this computer's clock.

    Returns:
        The names of those that waited for a time to come.
    """
    found = list(_waiting(instance, now))
    for waiting in found:
        instance.purge_ticks(waiting.origin_id, waiting.selector_id, before=waiting.latest + 1)
        if waiting.is_running:
            instance.delete_instigator_state(waiting.origin_id, waiting.selector_id)
    return sorted(waiting.name for waiting in found)


def forget_ticks_to_come_of(home: Path) -> list[str]:
    """The same by this computer's clock.

    Args:
        home: Dagster's folder of a site.
    """
    with dg.DagsterInstance.from_config(str(home)) as instance:
        return forget_ticks_to_come(instance, datetime.now(UTC))


def _waiting(instance: dg.DagsterInstance, now: datetime) -> Iterator[Waiting]:
    for state in instance.all_instigator_state():
        ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=1)
        # The data of one that is stopped is replaced when it is started; its ticks are not.
        known = state.instigator_data._asdict() if state.instigator_data and state.is_running else {}
        instants = [value for name, value in known.items() if name.endswith("_timestamp") and value is not None]
        latest = max([*instants, *(tick.timestamp for tick in ticks)], default=0.0)
        if datetime.fromtimestamp(latest, UTC) > now + CLOCK_STEP:
            yield Waiting(state.name, state.instigator_origin_id, state.selector_id, state.is_running, latest)
