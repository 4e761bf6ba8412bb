"""How far a badge reader's clock is ahead of the badges' clock, from the procedures of the people who wear its badges.

Pure functions on numbers: no tables, no files, no time zones, and no decision of what an offset is used for. A reader
without hub writes sessions or counter readings. Which offset puts their dose into the procedures in which their wearers
took part, and leaves the readings without dose outside the beams? Rooms' own clocks: ``clock_offsets.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from heapq import nsmallest
from itertools import groupby

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

# --- Where to look: clocks set by hand are minutes off; a misread zone or summer time adds one hour.
REACH_S = 4500.0
STEP_S = 15.0
OFFSETS_S: FloatArray = np.arange(-REACH_S, REACH_S + STEP_S / 2, STEP_S)

# --- What a reading shows. A badge has dose where there was radiation, and none where there was none, unless it was not
# worn, was exchanged, or was worn in a procedure that is in no logbook.
ODD_READING = 0.05
FEEBLE_SHARE = 0.02  # of a usual procedure's radiation gives dose in 1 - 1/e of the readings
# A badge is fetched before the first beam and returned after the last: a record has all of a procedure, or none of it.
COVERED_WHOLLY, COVERED_IN_PART, NOT_COVERED = 0.9, 0.02, 0.08
WHOLE = 0.98
UNRELATED = 0.1  # share of episodes of dose that have nothing to do with the procedures known
EPISODE_GAP_S = 900.0

# --- From day to day: quartz drifts 0.5-2 s a day (domain notes 7), and a reader is set again now and then.
SET_ANEW = 0.02
DRIFT_S_PER_DAY = 2.0
MOST_DAYS_APART = 30

# --- What is evidence (output contract N8).
MIN_RECORDS = 6
MIN_PEOPLE = 2
MIN_DAYS = 3
MIN_LIKELIHOOD_RATIO = 100.0
MAX_CHANCE = 0.001
SHUFFLES = 1199
DAYS_TESTED = 20  # neighbouring days with evidence that are shuffled together
DONORS = 8  # nearest other days whose procedures may take the place of a day's own
SHUFFLED_S: FloatArray = OFFSETS_S[::2]
SAME_CLOCK_S = 90.0  # a day's offset farther than this from the day before: the clock was set again between them


@dataclass(frozen=True, slots=True)
class PersonDay:
    """What the badge of one person shows on one day, and the procedures of that person.

    Attributes:
        day: local date of the records.
        person: any name of the person.
        records: begin and end of each record by the reader's clock, s since the day began (UTC), and 1 where it has
            dose, else 0; shape (n, 3), in order of time.
        beams: begin and end of each beam by the badges' clock, same origin, its weight (KAP or seconds, any unit), and
            the number of its procedure; shape (m, 4), in order of time; of that day and the hours around it.
    """

    day: date
    person: str
    records: FloatArray
    beams: FloatArray


@dataclass(frozen=True, slots=True)
class ReaderOffset:
    """The offset of one day and the evidence for it.

    Attributes:
        day: local date.
        offset_s: reader's clock minus badges' clock, s.
        uncertainty_s: standard uncertainty, s.
        n_records, n_people, n_days: records with dose, wearers and days between two settings of the clock.
        runner_up_s: the next best offset more than two uncertainties away, s.
        likelihood_ratio: of the best against it.
        chance: share of shuffled days whose best offset explains the records as well; 1 where the rest was not enough.
        is_accepted: enough records, people and days, ratio and chance.
    """

    day: date
    offset_s: float
    uncertainty_s: float
    n_records: int
    n_people: int
    n_days: int
    runner_up_s: float
    likelihood_ratio: float
    chance: float
    is_accepted: bool


def estimate(person_days: Sequence[PersonDay], others: Sequence[PersonDay] = (), seed: int = 0) -> list[ReaderOffset]:
    """Estimate the offset of each day with evidence of one reader against the procedures of one clock.

    Args:
        person_days: of one reader; those without record with dose or without beam say nothing and are left out.
        others: days of other readers; their procedures, too, may take the place of a day's own in the shuffles.
        seed: of the shuffles.

    Returns:
        One offset per day with evidence, in order, believed or not.
    """
    telling = sorted((_shortened(one) for one in person_days if _tells(one)), key=lambda one: (one.day, one.person))
    days = [list(group) for _, group in groupby(telling, key=lambda one: one.day)]
    if not days:
        return []
    likelihoods = np.array([_sum_of([log_likelihood(one.records, one.beams) for one in group]) for group in days])
    peaks = [_peak(row) for row in _smoothed([group[0].day for group in days], likelihoods)]
    stretches = _stretches([group[0].day for group in days], [peak.offset_s for peak in peaks])
    enough = [_Enough.of([one for i in stretch for one in days[i]]) for stretch in stretches for _ in stretch]
    is_tried = any(one.is_enough for one in enough)
    chances = _chances(days, [*telling, *others], seed) if is_tried else [1.0] * len(days)
    return [
        ReaderOffset(
            group[0].day,
            peak.offset_s,
            peak.uncertainty_s,
            found.n_records,
            found.n_people,
            found.n_days,
            peak.runner_up_s,
            peak.likelihood_ratio,
            chance,
            found.is_enough and peak.likelihood_ratio >= MIN_LIKELIHOOD_RATIO and chance < MAX_CHANCE,
        )
        for group, peak, found, chance in zip(days, peaks, enough, chances, strict=True)
    ]


def log_likelihood(records: FloatArray, beams: FloatArray, offsets_s: FloatArray = OFFSETS_S) -> FloatArray:
    """Log-likelihood of a person's records of a day at each offset, against records unrelated to the beams.

    Args:
        records: as in `PersonDay`.
        beams: as in `PersonDay`.
        offsets_s: where to look.
    """
    radiation = _radiation(records, beams, offsets_s) / _usual_weight(beams)
    has_dose = records[:, 2] > 0
    shows = ODD_READING + (1 - 2 * ODD_READING) * -np.expm1(-radiation / FEEBLE_SHARE)
    starts = _episodes(records)
    related = np.add.reduceat(np.log(np.where(has_dose[:, None], shows, 1 - shows)), starts, axis=0)
    share = min(max(float(has_dose.mean()), ODD_READING), 1 - ODD_READING)
    unrelated = np.add.reduceat(np.log(np.where(has_dose, share, 1 - share)), starts)[:, None]
    # An episode may come from a procedure without report: then it is no evidence against an offset.
    of_episodes = np.logaddexp(np.log1p(-UNRELATED) + related - unrelated, np.log(UNRELATED)).sum(axis=0)
    covered = _coverage(records, beams, offsets_s)
    of_procedures = np.select(
        [covered >= WHOLE, covered > 1 - WHOLE], [np.log(COVERED_WHOLLY), np.log(COVERED_IN_PART)], np.log(NOT_COVERED)
    ).sum(axis=0)
    together: FloatArray = of_episodes + of_procedures - len(covered) * np.log(NOT_COVERED)
    return together


def _episodes(records: FloatArray) -> npt.NDArray[np.intp]:
    """First record of each episode: records with dose that follow each other closely, with what lies between them."""
    has_dose = np.flatnonzero(records[:, 2] > 0)
    is_far = records[has_dose[1:], 0] - records[has_dose[:-1], 1] > EPISODE_GAP_S
    joined = np.zeros(len(records), dtype=bool)
    for before, after in zip(has_dose[:-1][~is_far], has_dose[1:][~is_far], strict=True):
        joined[before + 1 : after + 1] = True
    return np.flatnonzero(~joined)


def _tells(one: PersonDay) -> bool:
    return bool(len(one.beams)) and bool(np.any(one.records[:, 2] > 0))


def _shortened(one: PersonDay) -> PersonDay:
    """The same with records without dose that touch each other as one: they say the same, in fewer numbers."""
    is_dose = one.records[:, 2] > 0
    silent = _merged(one.records[~is_dose, :2]) if not is_dose.all() else np.empty((0, 2))
    # Silence of nights says nothing more than that of the hours around the dose.
    silent = np.clip(silent, one.records[is_dose, 0].min() - 2 * REACH_S, one.records[is_dose, 1].max() + 2 * REACH_S)
    silent = silent[silent[:, 1] > silent[:, 0]]
    records = np.vstack([one.records[is_dose], np.column_stack([silent, np.zeros(len(silent))])])
    return PersonDay(one.day, one.person, records[np.argsort(records[:, 0], kind="stable")], one.beams)


def _usual_weight(beams: FloatArray) -> float:
    """The median weight of a procedure of the day."""
    weights = [beams[beams[:, 3] == number, 2].sum() for number in np.unique(beams[:, 3])]
    return float(np.median(weights)) or 1.0


def _radiation(records: FloatArray, beams: FloatArray, offsets_s: FloatArray) -> FloatArray:
    """Weight of the beams within each record, shape (records, offsets)."""
    knots, total = _running(beams)
    begin, end = (np.interp(records[:, i, None] - offsets_s, knots, total) for i in (0, 1))
    return np.maximum(end - begin, 0.0)


def _coverage(records: FloatArray, beams: FloatArray, offsets_s: FloatArray) -> FloatArray:
    """Share of each procedure's weight that lies within any record, shape (procedures, offsets)."""
    merged = _merged(records[:, :2])
    shares = []
    for number in np.unique(beams[:, 3]):
        own = beams[beams[:, 3] == number]
        shares.append(_radiation(merged, own, offsets_s).sum(axis=0) / own[:, 2].sum())
    return np.array(shares)


def _running(beams: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Moments and the weight that was given until then; beams of two planes may overlap."""
    moments = np.unique(beams[:, :2])
    rates = beams[:, 2] / np.maximum(beams[:, 1] - beams[:, 0], 1e-9)
    middle = (moments[1:] + moments[:-1]) / 2
    is_on = (beams[:, 0, None] < middle) & (beams[:, 1, None] > middle)
    return moments, np.concatenate([[0.0], np.cumsum((rates[:, None] * is_on).sum(axis=0) * np.diff(moments))])


def _merged(spans: FloatArray) -> FloatArray:
    """The union of intervals that touch."""
    order = np.argsort(spans[:, 0], kind="stable")
    start, reached = spans[order, 0], np.maximum.accumulate(spans[order, 1])
    opens = np.flatnonzero(np.append(True, start[1:] > reached[:-1] + 1e-6))
    return np.column_stack([start[opens], reached[np.append(opens[1:], len(start)) - 1]])


@dataclass(frozen=True, slots=True)
class _Peak:
    offset_s: float
    uncertainty_s: float
    runner_up_s: float
    likelihood_ratio: float


def _smoothed(days: Sequence[date], likelihoods: FloatArray) -> FloatArray:
    """Log-likelihood of each day's offset from all days: the clock drifts, and is set again now and then."""
    forward = np.zeros_like(likelihoods)
    backward = np.zeros_like(likelihoods)
    for i in range(1, len(days)):
        forward[i] = _moved(forward[i - 1] + likelihoods[i - 1], (days[i] - days[i - 1]).days)
    for i in range(len(days) - 2, -1, -1):
        backward[i] = _moved(backward[i + 1] + likelihoods[i + 1], (days[i + 1] - days[i]).days)
    return forward + likelihoods + backward


def _moved(log_weights: FloatArray, days_apart: int) -> FloatArray:
    weights = np.exp(log_weights - log_weights.max())
    weights /= weights.sum()
    spread = DRIFT_S_PER_DAY * days_apart / STEP_S
    reach = max(1, int(np.ceil(3 * spread)))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / max(spread, 1e-3)) ** 2)
    drifted = np.convolve(weights, kernel / kernel.sum(), "same")
    again = 1 - (1 - SET_ANEW) ** days_apart if days_apart <= MOST_DAYS_APART else 1.0
    moved: FloatArray = np.log((1 - again) * drifted + again / len(weights))
    return moved


def _peak(log_weights: FloatArray) -> _Peak:
    """The best offset, how sure, and the next best one that lies clearly elsewhere."""
    weights = np.exp(log_weights - log_weights.max())
    best = int(np.argmax(weights))
    near = _hill(weights, best)
    own = weights * near
    mean = float((own * OFFSETS_S).sum() / own.sum())
    spread = float(np.sqrt((own * (OFFSETS_S - mean) ** 2).sum() / own.sum() + STEP_S**2 / 12))
    away = np.abs(OFFSETS_S - mean) > 2 * spread + STEP_S
    if not away.any():
        return _Peak(mean, spread, mean, 1.0)
    rival = int(np.argmax(np.where(away & ~near, weights, 0.0)))
    return _Peak(mean, spread, float(OFFSETS_S[rival]), float(1 / max(weights[rival], 1e-12)))


def _hill(weights: FloatArray, best: int) -> npt.NDArray[np.bool_]:
    """The offsets around the best one down to a hundredth of it."""
    low = weights < weights[best] / MIN_LIKELIHOOD_RATIO
    below, above = np.flatnonzero(low[:best]), np.flatnonzero(low[best:])
    near = np.zeros(len(weights), dtype=bool)
    near[(below[-1] + 1 if len(below) else 0) : (best + above[0] if len(above) else len(weights))] = True
    return near


def _stretches(days: Sequence[date], offsets_s: Sequence[float]) -> list[list[int]]:
    """Numbers of the days between two settings of the clock."""
    stretches: list[list[int]] = []
    for i, (day, offset_s) in enumerate(zip(days, offsets_s, strict=True)):
        is_next = (
            bool(stretches)
            and abs(offset_s - offsets_s[i - 1]) <= SAME_CLOCK_S
            and (day - days[i - 1]).days <= MOST_DAYS_APART
        )
        if is_next:
            stretches[-1].append(i)
        else:
            stretches.append([i])
    return stretches


@dataclass(frozen=True, slots=True)
class _Enough:
    """What the days between two settings of the clock rest on."""

    n_records: int
    n_people: int
    n_days: int

    @classmethod
    def of(cls, person_days: Sequence[PersonDay]) -> _Enough:
        return cls(
            sum(int((one.records[:, 2] > 0).sum()) for one in person_days),
            len({one.person for one in person_days}),
            len({one.day for one in person_days}),
        )

    @property
    def is_enough(self) -> bool:
        return self.n_records >= MIN_RECORDS and (self.n_people >= MIN_PEOPLE or self.n_days >= MIN_DAYS)


def _chances(days: Sequence[Sequence[PersonDay]], donors: Sequence[PersonDay], seed: int) -> list[float]:
    """The chance of each day: of the block of ``DAYS_TESTED`` days that it is in; the last block reaches back.

    Blocks do not follow the offsets that were found: days that were picked because they agree would agree too well.
    """
    chances: list[float] = []
    for begin in range(0, len(days), DAYS_TESTED):
        block = days[max(0, min(begin, len(days) - DAYS_TESTED)) : begin + DAYS_TESTED]
        chance = _chance([one for group in block for one in group], donors, seed)
        chances += [chance] * len(days[begin : begin + DAYS_TESTED])
    return chances


def _chance(own: Sequence[PersonDay], donors: Sequence[PersonDay], seed: int) -> float:
    """Share of shuffles whose best offset explains the records as well: each day gets the procedures of another day."""
    rng = np.random.default_rng(seed)
    of_person: dict[str, list[PersonDay]] = {}
    for donor in donors:
        of_person.setdefault(donor.person, []).append(donor)
    observed = _sum_of([log_likelihood(one.records, one.beams, SHUFFLED_S) for one in own]).max()
    foreign = np.empty((len(own), DONORS, len(SHUFFLED_S)))
    for i, one in enumerate(own):
        # The person's own days first, the nearest ones, for a timetable may change over a year.
        others = _nearest(one, of_person[one.person])
        if len(others) < DONORS:
            others += _nearest(one, [other for other in donors if other.person != one.person])
        if not others:
            return 1.0
        rows = [log_likelihood(one.records, other.beams, SHUFFLED_S) for other in others[:DONORS]]
        foreign[i] = np.resize(np.array(rows), foreign[i].shape)
    as_good = 1
    for _ in range(SHUFFLES):
        drawn = foreign[np.arange(len(own)), rng.integers(DONORS, size=len(own))].sum(axis=0)
        as_good += bool(drawn.max() >= observed)
        if as_good > MAX_CHANCE * (SHUFFLES + 1):
            break  # too many already
    return as_good / (SHUFFLES + 1)


def _nearest(one: PersonDay, days: Sequence[PersonDay]) -> list[PersonDay]:
    """The other days nearest to a day, ``DONORS`` at most; ``days`` need no order."""
    others = [other for other in days if other.day != one.day]
    return nsmallest(DONORS, others, key=lambda other: (abs((other.day - one.day).days), other.day, other.person))


def _sum_of(rows: Sequence[FloatArray]) -> FloatArray:
    together: FloatArray = np.sum(rows, axis=0)
    return together
