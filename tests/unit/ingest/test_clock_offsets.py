"""Clock offsets: a known truth is found, nothing is believed without evidence, and only what is known is carried."""

from __future__ import annotations

import csv
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import paths
from support.exports import read_whole

from ingest.clock_offsets import (
    CARRIED_DAYS,
    COARSEST_SAMPLE_S,
    FARTHEST_S,
    MIN_MATCHED,
    FloatArray,
    OffsetEstimate,
    carry,
    estimate_offset,
    first_accepted,
)
from ingest.dosimeters.description import load_description

SHARED = paths.SHARED
MIDNIGHT_S = datetime(2024, 3, 4, tzinfo=UTC).timestamp()
THRESHOLD_USV_PER_H = 40.0
SEEDS = range(12)


# --- a synthetic day -----------------------------------------------------------------------------------------------


def true_beams(rng: np.random.Generator, n_events: int) -> FloatArray:
    """Start, end (s) and dose rate (uSv/h at the C-arm) of a day's events, some 15 a procedure."""
    duration = rng.lognormal(np.log(6), 0.79, n_events)
    pause = rng.lognormal(np.log(15), 1.0, n_events)
    pause[::15] += rng.lognormal(np.log(1800), 0.5, len(pause[::15]))
    start = MIDNIGHT_S + 8 * 3600 + np.cumsum(pause) + np.concatenate([[0.0], np.cumsum(duration)[:-1]])
    return np.column_stack([start, start + duration, rng.lognormal(np.log(1500), 1.0, n_events)])


def moved(rows: FloatArray, by_s: float) -> FloatArray:
    """Intervals (start, end, rate) or samples (start, rate), later by some seconds."""
    return rows + np.array([*[by_s] * (rows.shape[1] - 1), 0.0])


def as_reported(beams: FloatArray, cut_s: float = 1.0) -> FloatArray:
    """Beam-on as the modality states it: starts cut, durations exact."""
    start = np.floor(beams[:, 0] / cut_s) * cut_s
    return np.column_stack([start, start + beams[:, 1] - beams[:, 0]])


def as_sampled(beams: FloatArray, offset_s: float, *, share: float = 1.0, sample_s: float = 1.0) -> FloatArray:
    """What a badge stores: mean rate per sample, by its own clock, nothing below the threshold."""
    times, rates = [], []
    for start, end, rate in moved(beams, offset_s):
        at = np.arange(np.floor(start / sample_s), np.floor(end / sample_s) + 1) * sample_s
        covered = np.minimum(at + sample_s, end) - np.maximum(at, start)
        times.append(at)
        rates.append(covered / sample_s * rate * share)
    at, which = np.unique(np.concatenate(times), return_inverse=True)
    rate = np.bincount(which, np.concatenate(rates))
    return np.column_stack([at, rate])[rate >= THRESHOLD_USV_PER_H]


def found(beam_on: FloatArray, signal: FloatArray, sample_s: float = 1.0) -> OffsetEstimate:
    estimate = estimate_offset(beam_on, signal, sample_s)
    assert estimate is not None
    return estimate


# --- what is found -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("offset_s", [0.0, 0.4, -7.25, 599.9, -899.0, 3600.0, -3612.3, 4180.0, 7190.0, -7800.5])
def test_a_live_reference_badge_gives_the_offset_within_a_second(offset_s: float) -> None:
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        beams = true_beams(rng, 20)
        estimate = found(as_reported(beams), as_sampled(beams, offset_s))
        assert estimate.is_accepted
        assert abs(estimate.offset_s - offset_s) < 1


@pytest.mark.parametrize("cut_s", [1.0, 0.001])
def test_cut_event_times_do_not_bias_the_offset(cut_s: float) -> None:
    errors = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        beams, offset_s = true_beams(rng, 30), rng.uniform(-600, 600)
        errors.append(found(as_reported(beams, cut_s), as_sampled(beams, offset_s)).offset_s - offset_s)
    assert abs(np.mean(errors)) < 0.1


def test_the_stated_uncertainty_is_honest() -> None:
    pulls = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        beams, offset_s = true_beams(rng, int(rng.integers(6, 60))), rng.uniform(-600, 600)
        estimate = found(as_reported(beams), as_sampled(beams, offset_s, share=0.1))
        pulls.append(abs(estimate.offset_s - offset_s) / estimate.uncertainty_s)
    assert max(pulls) < 3
    assert np.mean(np.array(pulls) < 1) > 0.68


def test_more_events_make_an_offset_surer_down_to_what_they_share() -> None:
    few, many = (true_beams(np.random.default_rng(2), n_events) for n_events in (6, 60))
    sure, surer = (found(as_reported(beams), as_sampled(beams, 5.0)).uncertainty_s for beams in (few, many))
    assert 0.5 < surer < sure < 1.0


def test_badges_that_store_little_still_tell_the_time() -> None:
    n_accepted = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        beams, offset_s = true_beams(rng, 45), rng.uniform(-600, 600)
        estimate = found(as_reported(beams), as_sampled(beams, offset_s, share=0.04))
        n_accepted += estimate.is_accepted
        assert not estimate.is_accepted or abs(estimate.offset_s - offset_s) < 2
    assert n_accepted >= 25


def test_dose_of_another_room_in_the_signal_does_not_mislead() -> None:
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        here, there = true_beams(rng, 45), true_beams(rng, 90)
        signal = np.concatenate([as_sampled(here, 123.0), as_sampled(there, 123.0)])
        estimate = found(as_reported(here), signal)
        assert estimate.is_accepted
        assert abs(estimate.offset_s - 123.0) < 1


@pytest.mark.parametrize(("share_before", "believed"), [(0.3, None), (0.5, 0), (0.7, None), (0.85, len(SEEDS))])
def test_of_a_clock_moved_within_a_day_the_longer_part_decides_or_nobody(
    share_before: float, believed: int | None
) -> None:
    """Never a time between the two and never the shorter part; None: some days are believed, some are not."""
    accepted_s = []
    for seed in SEEDS:
        beams = true_beams(np.random.default_rng(seed), 60)
        n_before = round(share_before * len(beams))
        signal = np.concatenate([as_sampled(beams[:n_before], 40.0), as_sampled(beams[n_before:], -380.0)])
        estimate = found(as_reported(beams), signal)
        accepted_s += [estimate.offset_s] if estimate.is_accepted else []
    assert accepted_s == pytest.approx([40.0 if share_before > 0.5 else -380.0] * len(accepted_s), abs=2)
    assert believed in (None, len(accepted_s))


def test_overlapping_planes_count_as_one_beam() -> None:
    beams = true_beams(np.random.default_rng(3), 30)
    plane_a, signal = as_reported(beams), as_sampled(beams, -446.0)
    plane_b = plane_a[::2] + [0.0, -0.8] * (plane_a[::2, 1:] - plane_a[::2, :1])
    alone, both = found(plane_a, signal), found(np.concatenate([plane_a, plane_b]), signal)
    assert both.is_accepted
    assert (both.n_events, both.n_matched) == (45, alone.n_matched)
    assert both.offset_s == pytest.approx(alone.offset_s, abs=0.05)
    assert both.correlation == pytest.approx(alone.correlation, abs=0.01)


def test_beams_without_a_known_end_are_used_by_their_onset() -> None:
    beams = true_beams(np.random.default_rng(4), 40)
    unknown = as_reported(beams)
    unknown[::2, 1] = unknown[::2, 0]
    estimate = found(unknown, as_sampled(beams, 55.0))
    assert estimate.is_accepted
    assert abs(estimate.offset_s - 55.0) < 1


@pytest.mark.parametrize(("sample_s", "tolerance_s"), [(0.1, 1.0), (2.0, 1.5), (10.0, 6.0)])
def test_other_sample_lengths(sample_s: float, tolerance_s: float) -> None:
    beams = true_beams(np.random.default_rng(5), 60)
    estimate = found(as_reported(beams), as_sampled(beams, 77.0, sample_s=sample_s), sample_s)
    assert estimate.is_accepted
    assert abs(estimate.offset_s - 77.0) < min(tolerance_s, 3 * estimate.uncertainty_s)


def test_beams_shorter_than_a_sample_have_edges_too() -> None:
    beams = true_beams(np.random.default_rng(6), 40)
    beams[:, 1] = beams[:, 0] + 0.05
    beams[:, 2] = 1e5
    estimate = found(as_reported(beams), as_sampled(beams, -20.0))
    assert estimate.is_accepted
    assert abs(estimate.offset_s + 20.0) < 1


# --- what is not believed ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_events", [4, 8, 20, 60])
def test_a_signal_that_has_nothing_to_do_with_the_beams_is_refused(n_events: int) -> None:
    for seed in range(60):
        rng = np.random.default_rng(1000 + seed)
        here, there = true_beams(rng, n_events), true_beams(rng, int(rng.integers(5, 60)))
        estimate = estimate_offset(as_reported(here), as_sampled(there, rng.uniform(-600, 600)))
        assert estimate is None or not estimate.is_accepted


def test_few_events_are_no_evidence_however_well_they_fit() -> None:
    beams = true_beams(np.random.default_rng(7), MIN_MATCHED - 1)
    estimate = found(as_reported(beams), as_sampled(beams, 42.0))
    assert estimate.reason == "few_matched"
    assert not estimate.is_accepted
    assert abs(estimate.offset_s - 42.0) < 2


def test_a_room_that_drowns_in_the_dose_of_others_is_refused() -> None:
    rng = np.random.default_rng(11)
    here = true_beams(rng, 60)
    others = [as_sampled(true_beams(rng, 60), rng.uniform(-600, 600)) for _ in range(40)]
    assert found(as_reported(here), np.concatenate([as_sampled(here, 9.0), *others])).reason == "weak"


def test_a_regular_rhythm_fits_at_many_offsets_and_is_refused() -> None:
    start = MIDNIGHT_S + 36000 + 60.0 * np.arange(30)
    beams = np.column_stack([start, start + 8, np.full(30, 1000.0)])
    estimate = found(as_reported(beams), as_sampled(beams, 10.0))
    assert estimate.reason == "rivalled"


def test_an_offset_outside_the_search_is_not_taken_for_another() -> None:
    for seed in SEEDS:
        beams = true_beams(np.random.default_rng(seed), 40)
        estimate = estimate_offset(as_reported(beams), as_sampled(beams, 1800.0))
        assert estimate is None or not estimate.is_accepted


def test_nothing_to_compare() -> None:
    beams, nothing = true_beams(np.random.default_rng(8), 20), np.empty((0, 2))
    signal = as_sampled(beams, 0.0)
    assert estimate_offset(as_reported(beams), nothing) is None
    assert estimate_offset(nothing, signal) is None
    assert estimate_offset(as_reported(beams), signal * [1.0, 0.0]) is None  # records of no dose
    assert estimate_offset(as_reported(beams), moved(signal, 2 * FARTHEST_S + 86400)) is None
    assert estimate_offset(as_reported(beams[:1]), as_sampled(beams[:1], 1800.0)) is None  # between the windows
    assert estimate_offset(as_reported(beams), signal, COARSEST_SAMPLE_S + 1) is None


def test_nonsense_is_an_error() -> None:
    beams = np.array([[0.0, 1.0]])
    with pytest.raises(ValueError, match=r"signal has shape \(2,\)"):
        estimate_offset(beams, np.array([0.0, 1.0]))
    with pytest.raises(ValueError, match="beam_on has a value that is not a finite number"):
        estimate_offset(beams * np.nan, beams)
    with pytest.raises(ValueError, match="sample_s is 0"):
        estimate_offset(beams, beams, 0.0)


# --- what it must not depend on ------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**16), shift_s=st.integers(-800, 800), days=st.integers(-9000, 9000))
def test_shifting_a_clock_shifts_the_offset_and_nothing_else(seed: int, shift_s: int, days: int) -> None:
    beams = true_beams(np.random.default_rng(seed), 12)
    beam_on, signal = as_reported(beams), as_sampled(beams, 0.0)
    plain, shifted = found(beam_on, signal), found(beam_on, moved(signal, shift_s))
    assert shifted.offset_s == pytest.approx(plain.offset_s + shift_s, abs=1e-3)
    other_epoch = found(beam_on + 86400.0 * days, moved(signal, 86400 * days))
    assert other_epoch.offset_s == pytest.approx(plain.offset_s, abs=1e-3)
    assert other_epoch.reason == plain.reason


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**16), factor=st.floats(1e-6, 1e6))
def test_order_repeats_and_unit_of_the_input_do_not_matter(seed: int, factor: float) -> None:
    rng = np.random.default_rng(seed)
    beams = true_beams(rng, 12)
    beam_on, signal = as_reported(beams), as_sampled(beams, 31.0)
    twice = rng.permutation(np.concatenate([signal, signal[::3]])) * [1.0, factor]
    assert found(rng.permutation(beam_on), twice) == found(beam_on, signal)


@settings(max_examples=60, deadline=None)
@given(
    beam_on=st.lists(st.tuples(st.floats(0, 86400), st.floats(0, 300)), max_size=25),
    signal=st.lists(st.tuples(st.floats(-9000, 95400), st.floats(0, 1e4)), max_size=60),
    sample_s=st.sampled_from([0.1, 1.0, 7.0, 60.0]),
)
def test_any_numbers_give_a_sober_answer(
    beam_on: list[tuple[float, float]], signal: list[tuple[float, float]], sample_s: float
) -> None:
    beams = np.array([(start, start + length) for start, length in beam_on]).reshape(-1, 2)
    estimate = estimate_offset(beams, np.array(signal).reshape(-1, 2), sample_s)
    if estimate is not None:
        assert abs(estimate.offset_s) <= FARTHEST_S + sample_s
        assert 0 < estimate.correlation <= 1 + 1e-9
        assert estimate.peak_ratio > 0
        assert estimate.uncertainty_s >= 0.5
        assert 0 <= estimate.n_matched <= len(beams)
        assert estimate.is_accepted == (estimate.reason == "accepted")


# --- which signal --------------------------------------------------------------------------------------------------


def test_the_room_badges_are_used_where_the_reference_badge_is_dead() -> None:
    beams = true_beams(np.random.default_rng(9), 40)
    beam_on, reference, staff = as_reported(beams), as_sampled(beams, 50.0), as_sampled(beams, 60.0, share=0.2)
    chosen = first_accepted(beam_on, [reference, staff])
    assert chosen == found(beam_on, reference)
    stray = reference[:3]
    assert first_accepted(beam_on, [np.empty((0, 2)), staff]) == found(beam_on, staff)
    assert first_accepted(beam_on, [stray, staff]) == found(beam_on, staff)


def test_without_an_accepted_signal_the_best_refused_one_is_shown() -> None:
    rng = np.random.default_rng(10)
    beams, other = true_beams(rng, 20), true_beams(rng, 20)
    beam_on, signals = as_reported(beams), [as_sampled(other, 0.0), as_sampled(beams[:3], 5.0)]
    shown = first_accepted(beam_on, signals)
    assert shown is not None
    assert not shown.is_accepted
    assert shown.peak_ratio == max(found(beam_on, signal).peak_ratio for signal in signals)
    assert first_accepted(beam_on, []) is None


# --- from day to day -----------------------------------------------------------------------------------------------

FIRST = date(2024, 3, 4)


def day(number: int) -> date:
    return FIRST + timedelta(days=number)


def accepted(offset_s: float) -> OffsetEstimate:
    return OffsetEstimate(offset_s, 0.5, 20, 20, 0.9, 8.0, True, "accepted")


def refused(offset_s: float) -> OffsetEstimate:
    return OffsetEstimate(offset_s, 0.7, 3, 2, 0.8, 1.5, False, "few_matched")


def test_an_accepted_day_decides_itself_and_is_carried_with_growing_uncertainty() -> None:
    own, *carried = carry([(day(0), accepted(12.0)), (day(1), None), (day(4), refused(700.0))])
    assert (own.method, own.offset_s, own.uncertainty_s, own.is_accepted) == ("cross_correlation", 12.0, 0.5, True)
    assert [(d.method, d.offset_s, d.uncertainty_s) for d in carried] == [
        ("carried", 12.0, 3.0),
        ("carried", 12.0, 6.0),
    ]
    assert not any(d.is_accepted or d.is_step for d in carried)


def test_nothing_is_known_before_the_first_accepted_day_and_a_week_after_the_last() -> None:
    before, _, week, later = carry(
        [
            (day(0), refused(5.0)),
            (day(1), accepted(5.0)),
            (day(1 + CARRIED_DAYS), None),
            (day(2 + CARRIED_DAYS), refused(5.0)),
        ]
    )
    assert (before.method, before.offset_s, before.last_accepted) == ("none", None, None)
    assert (week.method, week.uncertainty_s) == ("carried", 9.0)
    assert (later.method, later.offset_s, later.uncertainty_s, later.last_accepted) == ("none", None, None, day(1))


def test_a_refused_estimate_that_agrees_with_yesterday_is_evidence_enough() -> None:
    _, close, far = carry([(day(0), accepted(5.0)), (day(1), refused(6.1)), (day(2), refused(16.0))])
    assert (close.method, close.offset_s, close.is_step) == ("cross_correlation", 6.1, False)
    assert (far.method, far.offset_s, far.uncertainty_s) == ("carried", 6.1, 3.0)


def test_a_zone_fault_is_never_carried_unseen() -> None:
    fault, unseen, still_unseen, seen = carry(
        [(day(0), accepted(3605.0)), (day(1), None), (day(2), refused(4.0)), (day(3), refused(3607.0))]
    )
    assert fault.is_zone_fault
    assert [d.method for d in (unseen, still_unseen)] == ["none", "none"]
    assert (seen.method, seen.offset_s, seen.is_zone_fault) == ("cross_correlation", 3607.0, True)


def test_a_moved_clock_is_a_step_and_drift_is_none() -> None:
    offsets = {0: 0.0, 1: 2.0, 4: 8.0, 5: 13.5, 6: 13.5 - 446, 7: 3600.0}
    decisions = carry([(day(number), accepted(offset_s)) for number, offset_s in offsets.items()])
    assert [d.is_step for d in decisions] == [False, False, False, True, True, True]
    assert [d.step_s for d in decisions[:4]] == [None, 2.0, 6.0, 5.5]


def test_days_in_disorder_are_an_error() -> None:
    with pytest.raises(ValueError, match="2024-03-05 is followed by 2024-03-05"):
        carry([(day(1), None), (day(1), accepted(1.0))])


@given(st.lists(st.one_of(st.none(), st.floats(-900, 900).map(accepted), st.floats(-900, 900).map(refused))))
def test_the_future_never_changes_a_decision(estimates: list[OffsetEstimate | None]) -> None:
    days = [(day(number), estimate) for number, estimate in enumerate(estimates)]
    decisions = carry(days)
    assert all(carry(days[:n]) == decisions[:n] for n in range(len(days)))


# --- the test hospitals --------------------------------------------------------------------------------------------


def truth(hospital: str, table: str) -> list[dict[str, str]]:
    with (SHARED / f"{hospital}_truth" / f"truth_{table}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def local_date(at_s: float) -> str:
    return str(datetime.fromtimestamp(at_s, ZoneInfo("Europe/Madrid")).date())


def beams_by_day(hospital: str) -> dict[tuple[str, str], FloatArray]:
    found_days = defaultdict(list)
    for event in truth(hospital, "event"):
        start = datetime.fromisoformat(event["modality_started_at"]).timestamp()
        found_days[event["room_id"], local_date(start)].append((start, start + float(event["duration_s"] or 0)))
    return {key: np.array(beams) for key, beams in found_days.items()}


@cache
def signals_by_room(hospital: str) -> dict[str, tuple[FloatArray, FloatArray]]:
    """Samples of the reference badge, and of all other badges, that the room's hub received."""
    site = SHARED / hospital
    rooms = {}
    for source_id in ("cath_rates", "ir_rates"):
        source = load_description(site / "sources" / f"{source_id}.yaml")
        files = [
            f for f in truth(hospital, "file") if f["source_id"] == source_id and f["expected_status"] != "quarantined"
        ]
        rows = [row for f in files for row in read_whole(site / f["path"], source).rows]
        samples = np.array(
            [(r.started_at.timestamp(), float(r.value_usv)) for r in rows if r.started_at and r.value_usv]
        )
        is_reference = np.array([r.dosimeter_serial.startswith("REF") for r in rows if r.started_at and r.value_usv])
        (room_id,) = source.hubs.values()
        rooms[room_id] = (samples[is_reference], samples[~is_reference])
    return rooms


@pytest.mark.parametrize("hospital", ["hospital_tiny", "hospital_clean"])
@pytest.mark.parametrize("has_reference", [True, False])
def test_the_offsets_of_the_test_hospitals_are_found(hospital: str, has_reference: bool) -> None:
    if not (SHARED / hospital).is_dir():
        pytest.skip(f"{hospital} is not beside the checkout")
    beams, signals = beams_by_day(hospital), signals_by_room(hospital)
    n_accepted = 0
    for row in truth(hospital, "clock"):
        reference, staff = signals[row["room_id"]]
        choice = [reference, staff] if has_reference else [staff]
        estimate = first_accepted(beams[row["room_id"], row["offset_date"]], choice)
        if estimate is not None and estimate.is_accepted:
            n_accepted += 1
            assert abs(estimate.offset_s - float(row["offset_s"])) < 1, row
    assert n_accepted >= len(truth(hospital, "clock")) - (0 if has_reference else 2)
