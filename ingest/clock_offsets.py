"""How far a room's dosimeter clock is ahead of its modality clock: from two signals, and from one day to the next.

Pure functions on numbers: no tables, no files, no time zones, and no decision of what an offset is used for.
Correlates beam *switching*: the onsets and ends of beam-on against those of badge dose. On plain beam-on the flank of
a long fluoroscopy rivals its peak; edges are sharp, and so few that all pairs are compared directly, without a grid.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# --- Where to look. Unsynchronised clocks are "often 5-10 minutes" off (DICOM PS3.17 annex R.6); a misread zone or
# summer time adds one hour, both together two.
SEARCH_CENTRES_S = (0.0, 3600.0, -3600.0, 7200.0, -7200.0)
SEARCH_REACH_S = 900.0
FARTHEST_S = max(SEARCH_CENTRES_S) + SEARCH_REACH_S  # badge samples this far outside the day's beams are still of use
ZONE_FAULT_S = 1800.0  # an offset beyond this is no drifted clock

# --- How sharp. Both clocks cut to whole samples or seconds: an edge is known to about one "step" (a sample, but at
# least one second). Finer bins and a wider or narrower bump change no error by 0.1 s.
FINEST_STEP_S = 1.0
BINS_PER_STEP = 2
BUMP = np.array([0.25, 0.75, 1.0, 0.75, 0.25])  # Hann, one step to each side: smooths each of the two signals
KERNEL = np.convolve(BUMP, BUMP) / (BUMP @ BUMP)  # ... so this is what a pair of edges gives
REACH_STEPS = 2.0  # how far the kernel reaches; room for the drift within a day, too (0.5-2 s)
CUT_EVENT_TIME_S = 1.0  # a start that is a whole second was cut to it, and lies half of it later on average
COARSEST_SAMPLE_S = 60.0  # longer ones do not show beams of seconds

# --- What is evidence. Tried on 16 000 synthetic room-days (thresholds, 1-300 events, foreign dose, zone faults). Of
# 9500 whose signal has nothing to do with the beams none passes; ratio 2.2 lets 1 pass, 4 matched 1, both 2, a ratio of
# 1.5 as for plain beam-on about 100. The correlation is small wherever rooms share a signal, right or wrong: it says
# little, and only keeps out what drowns in foreign dose.
RIVAL_DISTANCE_S = 15.0  # a second peak nearer than this is the first one's own flank
MIN_MATCHED = 5
MIN_CORRELATION = 0.1
MIN_PEAK_RATIO = 2.4

# --- How sure, and for how long. Drift and cut times shift all edges of a day alike: more events do not average it out.
SYSTEMATIC_U_STEPS = 0.5
EDGE_U_STEPS = 0.4  # both clocks cut one edge: triangular, +-1 step
CARRIED_U_S = 2.0
CARRIED_U_S_PER_DAY = 1.0
CARRIED_DAYS = 7
STEP_S = 5.0  # output contract, `data_quality`
ORDINARY_DRIFT_S_PER_DAY = 2.5  # quartz drifts 0.5-2 s/day (domain notes 7): after a long weekend that alone is > 5 s

_PAIRS_AT_ONCE = 1 << 20  # bounds memory on a day of very ragged samples

Reason = Literal["accepted", "few_matched", "weak", "rivalled"]
Method = Literal["cross_correlation", "carried", "none"]


@dataclass(frozen=True, slots=True)
class OffsetEstimate:
    """The best offset of one room and day, with the evidence for it.

    Attributes:
        offset_s: dosimeter clock minus modality clock, seconds: modality time + offset = dosimeter time.
        uncertainty_s: standard uncertainty of offset_s, if the peak is the right one.
        n_events: irradiation events of the day.
        n_matched: beams of which the signal shows the onset or the end at this offset.
        correlation: of beam switching and signal switching at this offset, at most 1.
        peak_ratio: correlation over that of the best rival farther than ``RIVAL_DISTANCE_S``; inf where there is none.
        is_accepted: the evidence is enough to believe it without knowing any other day.
        reason: ``accepted``, or the first kind of evidence that is missing.
    """

    offset_s: float
    uncertainty_s: float
    n_events: int
    n_matched: int
    correlation: float
    peak_ratio: float
    is_accepted: bool
    reason: Reason


@dataclass(frozen=True, slots=True)
class ClockDecision:
    """The offset that holds for one room and day.

    Attributes:
        day: local date.
        method: ``cross_correlation`` (this day's own estimate), ``carried`` (the last accepted one) or ``none``.
        offset_s, uncertainty_s: as in `OffsetEstimate`; None with method ``none``.
        step_s: offset_s minus the last accepted one; None without own or earlier estimate.
        is_step: the clock was moved: step_s is more than ``STEP_S`` and than ordinary drift since then.
        last_accepted: last day up to and with this one that has an own estimate; None: no clock was ever known.
    """

    day: date
    method: Method = "none"
    offset_s: float | None = None
    uncertainty_s: float | None = None
    step_s: float | None = None
    is_step: bool = False
    last_accepted: date | None = None

    @property
    def is_accepted(self) -> bool:
        """Whether the offset comes from evidence of this very day."""
        return self.method == "cross_correlation"

    @property
    def is_zone_fault(self) -> bool:
        """Whether the offset is that of a misread zone or summer time, not of a drifted clock."""
        return self.offset_s is not None and abs(self.offset_s) > ZONE_FAULT_S


@dataclass(frozen=True, slots=True)
class _Edges:
    """Moments at which a signal switches on (+1) or off (-1), in order, in bins since the epoch."""

    at: IntArray
    sign: FloatArray


def estimate_offset(beam_on: FloatArray, signal: FloatArray, sample_s: float = 1.0) -> OffsetEstimate | None:
    """Estimate the clock offset of one room and day.

    Args:
        beam_on: start and end of each irradiation event by the modality clock, seconds since any epoch that has whole
            UTC seconds, shape (n, 2); all planes together. An end that is not after its start is unknown.
        signal: start of each badge sample by the dosimeter clock, same epoch, and its dose or rate (any unit), shape
            (m, 2), any order; several badges may be mixed. Give the day and ``FARTHEST_S`` on both sides of it.
        sample_s: length of a sample in seconds.

    Returns:
        The best offset, accepted or not; None where there is nothing to compare: no beam, no dose that a searched
        offset could bring to one, or samples longer than ``COARSEST_SAMPLE_S``.

    Raises:
        ValueError: another shape, a number that is not finite, or sample_s not positive.
    """
    _check(beam_on, signal, sample_s)
    if len(beam_on) == 0 or sample_s > COARSEST_SAMPLE_S:
        return None
    step_s = max(sample_s, FINEST_STEP_S)
    epoch_s = float(np.min(beam_on))
    beams = _runs(_beams(beam_on) - epoch_s, step_s)
    doses = _runs(_doses(signal, sample_s, epoch_s, epoch_s + beams[-1, 1]) - epoch_s, step_s)
    if len(doses) == 0:
        return None
    lags, correlation = _correlogram(beams, doses, step_s / BINS_PER_STEP)
    best = int(np.argmax(correlation))
    if correlation[best] <= 0:
        return None
    rivals = correlation[np.abs(lags - lags[best]) > max(RIVAL_DISTANCE_S, 3 * REACH_STEPS * step_s)]
    offset_s = lags[best] + _vertex(correlation, best) * step_s / BINS_PER_STEP
    n_matched, random_s = _matches(beams, doses, offset_s, step_s)
    return _judged(
        offset_s=float(offset_s),
        uncertainty_s=float(np.hypot(SYSTEMATIC_U_STEPS * step_s, random_s)),
        n_events=len(beam_on),
        n_matched=n_matched,
        correlation=float(correlation[best]),
        peak_ratio=_ratio(float(correlation[best]), float(np.max(rivals))),
    )


def first_accepted(beam_on: FloatArray, signals: Sequence[FloatArray], sample_s: float = 1.0) -> OffsetEstimate | None:
    """Estimate from the first signal that gives an accepted offset; else the best-supported refused one.

    Args:
        beam_on: as for `estimate_offset`.
        signals: in order of trust: the C-arm reference badge, then all badges of the room together.
        sample_s: length of a sample in seconds.

    Returns:
        None where no signal can be compared at all.

    Raises:
        ValueError: as `estimate_offset`.
    """
    refused = []
    for signal in signals:
        estimate = estimate_offset(beam_on, signal, sample_s)
        if estimate is not None and estimate.is_accepted:
            return estimate
        refused.append(estimate)
    return max((e for e in refused if e is not None), key=lambda e: e.peak_ratio, default=None)


def carry(days: Sequence[tuple[date, OffsetEstimate | None]]) -> list[ClockDecision]:
    """Decide the offset of every day of one room from the estimates, looking only backwards.

    A day is decided from its own signals if its estimate is accepted, or if a refused one agrees with the last accepted
    offset: a few seconds out of few take less evidence than out of 90 minutes. Else the last accepted offset is
    carried for ``CARRIED_DAYS``. One of a zone fault is not: it can end over night, and be wrong by an hour unseen.

    Args:
        days: local date and estimate (None: nothing to compare) of each day with procedures, dates rising.

    Returns:
        One decision per day, same order.

    Raises:
        ValueError: dates that do not rise.
    """
    decisions: list[ClockDecision] = []
    known: _Known | None = None
    for day, estimate in days:
        if decisions and day <= decisions[-1].day:
            raise ValueError(f"the days of a room must rise: {decisions[-1].day} is followed by {day}")
        if estimate is not None and (estimate.is_accepted or (known is not None and known.is_agreed(day, estimate))):
            decisions.append(_own(day, estimate, known))
            known = _Known(day, estimate.offset_s)
        else:
            decisions.append(_carried(day, known))
    return decisions


class _Known(NamedTuple):
    """The last day with an accepted offset."""

    day: date
    offset_s: float

    def drift_s(self, day: date) -> float:
        return ORDINARY_DRIFT_S_PER_DAY * (day - self.day).days

    def is_recent(self, day: date) -> bool:
        return (day - self.day).days <= CARRIED_DAYS

    def is_agreed(self, day: date, estimate: OffsetEstimate) -> bool:
        tolerance_s = CARRIED_U_S + self.drift_s(day)
        return self.is_recent(day) and abs(estimate.offset_s - self.offset_s) <= tolerance_s


def _own(day: date, estimate: OffsetEstimate, known: _Known | None) -> ClockDecision:
    step_s = None if known is None else estimate.offset_s - known.offset_s
    is_step = known is not None and abs(estimate.offset_s - known.offset_s) > max(STEP_S, known.drift_s(day))
    return ClockDecision(
        day, "cross_correlation", estimate.offset_s, estimate.uncertainty_s, step_s, is_step, last_accepted=day
    )


def _carried(day: date, known: _Known | None) -> ClockDecision:
    if known is None:
        return ClockDecision(day)
    if not known.is_recent(day) or abs(known.offset_s) > ZONE_FAULT_S:
        return ClockDecision(day, last_accepted=known.day)
    uncertainty_s = CARRIED_U_S + CARRIED_U_S_PER_DAY * (day - known.day).days
    return ClockDecision(day, "carried", known.offset_s, uncertainty_s, last_accepted=known.day)


def _check(beam_on: FloatArray, signal: FloatArray, sample_s: float) -> None:
    for name, values in (("beam_on", beam_on), ("signal", signal)):
        if values.ndim != 2 or values.shape[1] != 2:
            raise ValueError(f"{name} has shape {values.shape}, not (n, 2)")
        if not np.isfinite(values).all():
            raise ValueError(f"{name} has a value that is not a finite number")
    if not (np.isfinite(sample_s) and sample_s > 0):
        raise ValueError(f"sample_s is {sample_s}, not a positive number of seconds")


def _beams(beam_on: FloatArray) -> FloatArray:
    """Beam intervals with cut starts moved to where they are on average; an unknown end is that of a mere flash."""
    start, end = beam_on[:, 0], np.maximum(beam_on[:, 0], beam_on[:, 1])
    late = np.where(start % CUT_EVENT_TIME_S == 0, CUT_EVENT_TIME_S / 2, 0.0)
    return np.column_stack([start + late, end + late])


def _doses(signal: FloatArray, sample_s: float, from_s: float, to_s: float) -> FloatArray:
    """Sample intervals with dose that any searched offset could bring between two moments."""
    at_s = signal[signal[:, 1] > 0, 0]
    at_s = at_s[(at_s > from_s - FARTHEST_S - sample_s) & (at_s < to_s + FARTHEST_S)]
    return np.column_stack([at_s, at_s + sample_s])


def _runs(intervals: FloatArray, step_s: float) -> FloatArray:
    """The union of intervals, in order, as samples would show it: nothing shorter than a step, on or off."""
    if len(intervals) == 0:
        return intervals
    missing_s = np.maximum(step_s - (intervals[:, 1] - intervals[:, 0]), 0) / 2
    start, end = intervals[:, 0] - missing_s, intervals[:, 1] + missing_s
    order = np.argsort(start, kind="stable")
    start, reached = start[order], np.maximum.accumulate(end[order])
    # A tenth of a millisecond of slack: times since 1970 are not exact in binary.
    opens = np.flatnonzero(np.append(True, start[1:] > reached[:-1] + step_s + 1e-4))
    return np.column_stack([start[opens], reached[np.append(opens[1:], len(start)) - 1]])


def _correlogram(beams: FloatArray, doses: FloatArray, bin_s: float) -> tuple[FloatArray, FloatArray]:
    """Normalised correlation of switching at every searched lag (dose minus beam), in order of lag."""
    beam, dose = _edges(beams, bin_s), _edges(doses, bin_s)
    energy = _pair_sums(beam, beam, 0)[0] * _pair_sums(dose, dose, 0)[0]
    sums = _pair_sums(beam, dose, round(FARTHEST_S / bin_s))
    lags, position = _searched_lags(len(sums), bin_s)
    return lags, sums[position] / np.sqrt(energy)


def _edges(runs: FloatArray, bin_s: float) -> _Edges:
    return _Edges(np.rint(runs.ravel() / bin_s).astype(np.int64), np.tile([1.0, -1.0], len(runs)))


@cache
def _searched_lags(n_lags: int, bin_s: float) -> tuple[FloatArray, npt.NDArray[np.intp]]:
    """The searched ones of so many lags, symmetric about zero, and their positions."""
    lags = (np.arange(n_lags) - n_lags // 2) * bin_s
    position = np.flatnonzero(np.abs(lags[:, None] - np.array(SEARCH_CENTRES_S)).min(axis=1) <= SEARCH_REACH_S)
    return lags[position].astype(np.float64), position


def _pair_sums(a: _Edges, b: _Edges, farthest: int) -> FloatArray:
    """Sum of the signs of all pairs of edges, smoothed, per lag (b minus a, bins) from -farthest to farthest."""
    middle = farthest + len(KERNEL) // 2
    sums = np.zeros(2 * middle + 1)
    for at, sign in _blocks(a, len(b.at)):
        lag = b.at - (at[:, None] - middle)
        is_near = (lag >= 0) & (lag < len(sums))
        sums += np.bincount(lag[is_near], (b.sign * sign[:, None])[is_near], len(sums))
    return np.convolve(sums, KERNEL, "valid")


def _blocks(edges: _Edges, n_partners: int) -> Iterator[tuple[IntArray, FloatArray]]:
    size = max(1, _PAIRS_AT_ONCE // n_partners)
    for begin in range(0, len(edges.at), size):
        yield edges.at[begin : begin + size], edges.sign[begin : begin + size]


def _vertex(values: FloatArray, top: int) -> float:
    """Where the parabola through the highest value and its neighbours is highest, in steps from ``top``."""
    if top in (0, len(values) - 1):
        return 0.0
    left, middle, right = values[top - 1 : top + 2]
    bend = left - 2 * middle + right
    return float((left - right) / (2 * bend)) if bend < 0 else 0.0


def _matches(beams: FloatArray, doses: FloatArray, offset_s: float, step_s: float) -> tuple[int, float]:
    """Beams of which an edge is in the signal, and the standard error of the offset from all such edges, in seconds."""
    misses = np.column_stack([_miss(beams[:, edge] + offset_s, doses[:, edge]) for edge in (0, 1)])
    is_match = np.abs(misses) <= REACH_STEPS * step_s
    matched = misses[is_match]
    spread_s = max(float(np.std(matched)), EDGE_U_STEPS * step_s) if len(matched) else REACH_STEPS * step_s
    return int(np.count_nonzero(is_match.any(axis=1))), spread_s / max(1, len(matched)) ** 0.5


def _miss(wanted: FloatArray, present: FloatArray) -> FloatArray:
    """Distance from each wanted moment to the nearest present one (sorted), signed."""
    right = np.clip(np.searchsorted(present, wanted), 0, len(present) - 1)
    left = np.maximum(right - 1, 0)
    to_right, to_left = present[right] - wanted, present[left] - wanted
    return np.where(np.abs(to_right) < np.abs(to_left), to_right, to_left)


def _ratio(peak: float, rival: float) -> float:
    return peak / rival if rival > 0 else float("inf")


def _judged(
    *, offset_s: float, uncertainty_s: float, n_events: int, n_matched: int, correlation: float, peak_ratio: float
) -> OffsetEstimate:
    evidence: tuple[tuple[Reason, bool], ...] = (
        ("few_matched", n_matched >= MIN_MATCHED),
        ("weak", correlation >= MIN_CORRELATION),
        ("rivalled", peak_ratio >= MIN_PEAK_RATIO),
    )
    reason: Reason = next((name for name, is_enough in evidence if not is_enough), "accepted")
    return OffsetEstimate(
        offset_s, uncertainty_s, n_events, n_matched, correlation, peak_ratio, reason == "accepted", reason
    )
