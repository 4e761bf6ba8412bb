"""The clock of a reader, from made-up weeks of procedures and of what badges show of them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest

from ingest.reader_clocks import MIN_LIKELIHOOD_RATIO, PersonDay, ReaderOffset, estimate

MONDAY = date(2024, 1, 1)
TOLERANCE_S = 120.0  # an offset wrong by less puts no dose into another procedure


def procedure(rng: np.random.Generator, start_s: float, number: int) -> np.ndarray[Any, Any]:
    """Beams of one procedure: begin, end, weight, number."""
    length_s = rng.lognormal(np.log(2400), 0.5)
    n = max(3, int(length_s / 120))
    begin = np.sort(np.append(start_s, rng.uniform(start_s, start_s + length_s, n)))
    end = np.minimum(begin + rng.uniform(2, 30, n + 1), np.append(begin[1:], start_s + length_s + 20))
    return np.column_stack([begin, end, (end - begin) * rng.lognormal(0, 0.5, n + 1), np.full(n + 1, number)])


def list_of_a_day(rng: np.random.Generator) -> list[np.ndarray[Any, Any]]:
    """The procedures of one room on one day."""
    made: list[np.ndarray[Any, Any]] = []
    at_s = 8 * 3600 + float(rng.integers(0, 1800))
    while at_s < 16 * 3600:
        made.append(procedure(rng, at_s, len(made)))
        at_s = made[-1][-1, 1] + rng.uniform(900, 2400)
    return made


def sessions(rng: np.random.Generator, worn: list[np.ndarray[Any, Any]], offset_s: float) -> list[list[float]]:
    """Issue and return in full minutes, some minutes before and after."""
    return [
        [
            np.floor(one[0, 0] / 60) * 60 - 60 * rng.integers(2, 6) + offset_s,
            np.floor(one[-1, 1] / 60) * 60 + 60 * rng.integers(2, 6) + offset_s,
            1.0,
        ]
        for one in worn
        if rng.random() < 0.9
    ]


def counters(rng: np.random.Generator, worn: list[np.ndarray[Any, Any]], offset_s: float) -> list[list[float]]:
    """A reading each minute from ten minutes before to ten after."""
    found = []
    for one in worn:
        is_worn = rng.random() < 0.9
        for begin in np.arange(one[0, 0] - 600, one[-1, 1] + 600, 60.0) + rng.uniform(0, 60):
            shared = np.maximum(0, np.minimum(one[:, 1], begin + 60) - np.maximum(one[:, 0], begin))
            dose = (shared * one[:, 2] / (one[:, 1] - one[:, 0])).sum() * 0.02
            found.append([begin + offset_s, begin + 60 + offset_s, float(is_worn and dose > 0.05)])
    return found


def weeks(
    records: Callable[..., list[list[float]]],
    seed: int,
    offset_s: Callable[[int], float],
    *,
    days: int = 26,
    people: int = 4,
    is_related: bool = True,
) -> list[PersonDay]:
    """People's working days; unrelated records are those of other procedures than the ones known."""
    rng = np.random.default_rng(seed)
    made = []
    for n in range(days):
        day = MONDAY + timedelta(days=n)
        if day.weekday() > 4:
            continue
        known = list_of_a_day(rng)
        true = known if is_related else list_of_a_day(rng)
        for person in range(people):
            named = [one for one in known if rng.random() < 2 / len(known)]
            worn = named if is_related else [one for one in true if rng.random() < 2 / len(true)]
            shown = records(rng, worn, offset_s(n))
            if named and shown:
                made.append(PersonDay(day, f"P{person}", np.array(sorted(shown)), np.vstack(named)))
    return made


def wrong(found: list[ReaderOffset], offset_s: Callable[[int], float]) -> list[ReaderOffset]:
    return [
        one for one in found if one.is_accepted and abs(one.offset_s - offset_s((one.day - MONDAY).days)) > TOLERANCE_S
    ]


@pytest.mark.parametrize("records", [sessions, counters])
@pytest.mark.parametrize("offset_s", [0.0, 600.0, -600.0, 3600.0])
def test_the_offset_is_found(records: Callable[..., list[list[float]]], offset_s: float) -> None:
    found = estimate(weeks(records, 1, lambda _: offset_s))

    assert len(found) > 15
    assert all(one.is_accepted for one in found)
    assert wrong(found, lambda _: offset_s) == []
    assert all(abs(one.offset_s - offset_s) < 4 * one.uncertainty_s + 45 for one in found)
    assert all(abs(one.runner_up_s - one.offset_s) > 2 * one.uncertainty_s for one in found)


@pytest.mark.parametrize("records", [sessions, counters])
def test_a_clock_that_is_set_anew_is_followed(records: Callable[..., list[list[float]]]) -> None:
    def offset_s(day: int) -> float:
        return 420.0 if day < 14 else -300.0

    found = estimate(weeks(records, 2, offset_s))

    assert sum(one.is_accepted for one in found) > 15
    assert len(wrong(found, offset_s)) <= 1  # at most the day beside the change


@pytest.mark.parametrize("records", [sessions, counters])
def test_drift_is_followed(records: Callable[..., list[list[float]]]) -> None:
    found = estimate(weeks(records, 3, lambda day: 300.0 + 2.0 * day))

    assert wrong(found, lambda day: 300.0 + 2.0 * day) == []
    assert all(one.is_accepted for one in found)


@pytest.mark.parametrize("records", [sessions, counters])
def test_records_that_have_nothing_to_do_with_the_procedures_show_no_clock(
    records: Callable[..., list[list[float]]],
) -> None:
    accepted = [
        one
        for seed in range(10, 16)
        for one in estimate(weeks(records, seed, lambda _: 0.0, is_related=False))
        if one.is_accepted
    ]

    assert accepted == []


def test_little_evidence_is_not_believed() -> None:
    one_person_two_days = weeks(sessions, 4, lambda _: 600.0, days=2, people=1)
    assert not any(one.is_accepted for one in estimate(one_person_two_days))
    assert estimate([]) == []


def test_two_rooms_that_disagree_have_no_common_offset() -> None:
    mixed = [*weeks(sessions, 5, lambda _: 300.0), *weeks(sessions, 6, lambda _: -300.0)]

    found = estimate(mixed)

    sure = [one for one in found if one.is_accepted]
    assert all(min(abs(one.offset_s - 300), abs(one.offset_s + 300)) <= TOLERANCE_S for one in sure)
    assert all(one.likelihood_ratio >= MIN_LIKELIHOOD_RATIO for one in sure)


def test_the_order_of_the_evidence_does_not_matter() -> None:
    evidence = weeks(sessions, 7, lambda _: 240.0, days=12)

    assert estimate(evidence) == estimate(evidence[::-1])
