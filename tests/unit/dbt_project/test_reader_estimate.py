"""Which rooms share a reader's offset: the dbt model's own functions on made-up weeks."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from types import ModuleType

import numpy as np
import pytest
from support import paths
from unit.ingest.test_reader_clocks import TOLERANCE_S, sessions, weeks

from ingest.reader_clocks import PersonDay, ReaderOffset


@pytest.fixture(scope="module")
def model() -> ModuleType:
    file = paths.DBT_PROJECT / "models/intermediate/clocks/int_reader_estimate.py"
    spec = importlib.util.spec_from_file_location("int_reader_estimate", file)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def of_room(model: ModuleType, days: Sequence[PersonDay], room: str, *, is_known: bool = True) -> list[object]:
    rooms: tuple[frozenset[str], frozenset[str]] = (frozenset({room}), frozenset())
    return [model.WornDay(day, *(rooms if is_known else rooms[::-1])) for day in days]


def is_at(offsets: Sequence[ReaderOffset], offset_s: float) -> bool:
    return bool(offsets) and all(abs(one.offset_s - offset_s) < TOLERANCE_S for one in offsets if one.is_accepted)


def test_rooms_that_agree_share_one_offset(model: ModuleType) -> None:
    one, other = (weeks(sessions, seed, lambda _: 420.0) for seed in (21, 22))
    found = model.offsets_of([*of_room(model, one, "R1"), *of_room(model, other, "R2")], ())
    assert list(found) == [model.Series(None, False)]
    assert is_at(found[model.Series(None, False)], 420.0)


def test_rooms_that_disagree_keep_their_own(model: ModuleType) -> None:
    one, other = weeks(sessions, 21, lambda _: 420.0), weeks(sessions, 22, lambda _: -180.0)
    found = model.offsets_of([*of_room(model, one, "R1"), *of_room(model, other, "R2")], ())
    assert list(found) == [model.Series("R1", False), model.Series("R2", False)]
    assert is_at(found[model.Series("R1", False)], 420.0)
    assert is_at(found[model.Series("R2", False)], -180.0)
    assert all(one.is_accepted for offsets in found.values() for one in offsets)


def test_days_without_a_room_clock_are_a_series_of_their_own(model: ModuleType) -> None:
    """The modality's clock is 90 s off on these days: they say nothing about the days with a known clock."""
    known, unknown = weeks(sessions, 23, lambda _: 300.0), weeks(sessions, 24, lambda _: 390.0)
    found = model.offsets_of([*of_room(model, known, "R1"), *of_room(model, unknown, "R1", is_known=False)], ())
    assert set(found) == {model.Series(None, False), model.Series("R1", True)}
    assert is_at(found[model.Series(None, False)], 300.0)
    assert is_at(found[model.Series("R1", True)], 390.0)


def test_a_day_in_rooms_with_and_without_a_clock_speaks_for_neither(model: ModuleType) -> None:
    days = [
        model.WornDay(day, frozenset({"R1"}), frozenset({"R2"})) for day in weeks(sessions, 25, lambda _: 300.0, days=8)
    ]
    found = model.offsets_of(days, ())
    assert not any(found.values())
    assert np.all([series in (model.Series(None, False), model.Series("R2", True)) for series in found])
