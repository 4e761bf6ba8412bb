"""What the badges of the demo hospital register of the true dose: samples, hourly totals, sessions, wear periods.

Belongs here: the device's threshold, resolution and rounding. Does not belong here: the true dose (hospital.py), how an
export looks (export_files.py). Registered doses are whole femtosieverts, that is DECIMAL(18,9) microsievert exactly.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import numpy.typing as npt

from synthetic_hospital.catalogue import Badge
from synthetic_hospital.hospital import Hospital, Procedure, generator, lognormal
from synthetic_hospital.wearing import Wearing, draw_wearing

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

# RaySafe i2 manual 571024: 1-s samples are stored only while the rate is above 40 uSv/h; hourly values keep all dose.
THRESHOLD_TENTHS_USV_PER_H = 400
FSV_PER_USV = 10**9
READER_GSD = 1.15  # session and passive readers against the true sum
SESSION_MERGE_GAP = timedelta(minutes=40)  # a nurse keeps the badge over two procedures closer than this ...
SESSION_MERGE_SHARE = 0.3  # ... this often
APRON_TRANSMISSION = 0.04
PASSIVE_LOD_MSV = Decimal("0.02")


@dataclass(frozen=True, slots=True)
class Samples:
    """The stored 1-s samples of one badge in order of time, as parallel arrays.

    Attributes:
        second: start of the sample by the badge's clock, seconds since the epoch (UTC).
        rate_tenths: exported mean dose rate in tenths of a microsievert per hour.
        procedure: index into ``Hospital.procedures``; event: index into its events.
    """

    second: IntArray
    rate_tenths: IntArray
    procedure: IntArray
    event: IntArray

    @property
    def dose_fsv(self) -> IntArray:
        """Dose of each sample: rate x 1 s / 3600, rounded to the ninth digit of a microsievert.

        Half-even needs no care: tenths x 10^9 / 36000 = tenths x 250000 / 9 never lies in the middle.
        """
        return (2 * self.rate_tenths * 250_000 + 9) // 18


@dataclass(frozen=True, slots=True)
class Hour:
    """One clock hour of a badge's own counter, whole microsieverts, by the badge's clock."""

    source_id: str
    serial: str
    started_at: datetime
    dose_usv: int


@dataclass(frozen=True, slots=True)
class Session:
    """One issue-and-return of a session badge; ``procedures`` are those during which it was worn."""

    serial: str
    started_at: datetime
    ended_at: datetime
    dose_usv: Decimal
    procedures: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Period:
    """One month of a passive badge; ``dose_msv`` None = below detection."""

    serial: str
    begin: date
    end: date
    dose_msv: Decimal | None


@dataclass(frozen=True, slots=True)
class Readings:
    """All that was registered, each list in order of badge and time, and where the badges were meanwhile."""

    wearing: Wearing
    samples: dict[str, Samples]
    hours: tuple[Hour, ...]
    sessions: tuple[Session, ...]
    periods: tuple[Period, ...]


def register(hospital: Hospital) -> Readings:
    """Let every badge of the hospital register what happened near it."""
    wearing = draw_wearing(hospital)
    badges = hospital.preset.badges()
    seconds = [(badge, _second_doses(hospital, wearing, badge)) for badge in badges if badge.kind == "rate"]
    return Readings(
        wearing=wearing,
        samples={badge.serial: _samples(series) for badge, series in seconds},
        hours=tuple(hour for badge, series in seconds for hour in _hours(hospital, badge, series)),
        sessions=tuple(s for badge in badges if badge.kind == "session" for s in _sessions(hospital, wearing, badge)),
        periods=tuple(p for badge in badges if badge.kind == "passive" for p in _periods(hospital, wearing, badge)),
    )


def usv(femtosievert: int) -> Decimal:
    """Femtosieverts as microsieverts, exact to the ninth digit."""
    return Decimal(int(femtosievert)).scaleb(-9)


@dataclass(frozen=True, slots=True)
class _Series:
    """True dose of every second with beam at one badge, and the procedures that it was in."""

    second: IntArray
    dose_usv: FloatArray
    procedure: IntArray
    event: IntArray
    worn_in: tuple[int, ...]


def _second_doses(hospital: Hospital, wearing: Wearing, badge: Badge) -> _Series:
    nothing = np.empty(0, dtype=np.int64)
    worn_in, parts = [], [(nothing, nothing.astype(np.float64), nothing, nothing)]
    for index, procedure in enumerate(hospital.procedures):
        doses = wearing.doses_at(procedure, badge)
        if doses is not None:
            worn_in.append(index)
            second, dose, event = _by_second(procedure, doses)
            parts.append((second, dose, np.full(len(second), index), event))
    second, dose, of_procedure, event = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    # Two hubs may disagree by minutes: what came first is not always what shows the earlier time.
    order = np.argsort(second, kind="stable")
    return _Series(second[order], dose[order], of_procedure[order], event[order], tuple(worn_in))


def _by_second(procedure: Procedure, doses: tuple[float, ...]) -> tuple[IntArray, FloatArray, IntArray]:
    """Cut each event's constant dose rate at the badge clock's full seconds: second, dose, index of the event."""
    shift = procedure.badge_shift.total_seconds()
    begin = int(procedure.started_at.timestamp() + shift)
    starts = np.array([event.started_at.timestamp() - begin + shift for event in procedure.events])
    ends = starts + np.array([float(event.duration_s) for event in procedure.events])
    edges = np.arange(int(ends[-1]) + 2)
    times = np.column_stack([starts, ends]).ravel()
    total = np.repeat(np.cumsum(doses), 2)
    total[0::2] -= doses
    dose = np.diff(np.interp(edges, times, total))
    has_beam = np.flatnonzero(dose > 1e-12)
    event = np.searchsorted(starts, has_beam + 1, side="left") - 1
    return begin + has_beam, dose[has_beam], event


def _samples(series: _Series) -> Samples:
    tenths = np.rint(series.dose_usv * 36_000).astype(np.int64)
    kept = tenths >= THRESHOLD_TENTHS_USV_PER_H
    return Samples(series.second[kept], tenths[kept], series.procedure[kept], series.event[kept])


def _hours(hospital: Hospital, badge: Badge, series: _Series) -> Iterator[Hour]:
    """Increments of a counter that shows whole microsieverts: what is cut off in one hour comes in a later one.

    An hour is written when the badge was in use, also when the counter stood still.
    """
    hour_of = series.second // 3600
    in_use = sorted(
        {hour for index in series.worn_in for hour in _hours_touched(hospital.procedures[index])}
        | set(hour_of.tolist())
    )
    dose = np.zeros(len(in_use))
    np.add.at(dose, np.searchsorted(in_use, hour_of), series.dose_usv)
    counter = np.floor(np.cumsum(dose)).astype(np.int64)
    for hour, increment in zip(in_use, np.diff(counter, prepend=0), strict=True):
        yield Hour(badge.hours_source or "", badge.serial, datetime.fromtimestamp(hour * 3600, UTC), int(increment))


def _hours_touched(procedure: Procedure) -> range:
    begin, end = procedure.started_at + procedure.badge_shift, procedure.ended_at + procedure.badge_shift
    return range(int(begin.timestamp()) // 3600, int(end.timestamp()) // 3600 + 1)


def _sessions(hospital: Hospital, wearing: Wearing, badge: Badge) -> Iterator[Session]:
    """A session badge is issued some minutes before and returned some minutes after; the reader keeps full minutes."""
    rng = generator(hospital.seed, f"sessions/{badge.serial}")
    for group in _grouped(rng, hospital, wearing, badge):
        first, last = hospital.procedures[group[0]], hospital.procedures[group[-1]]
        before, after = (timedelta(minutes=int(m)) for m in rng.integers(2, 6, size=2))
        true_usv = sum(sum(wearing.doses_at(hospital.procedures[index], badge) or ()) for index in group)
        yield Session(
            serial=badge.serial,
            started_at=_full_minute(first.started_at) - before,
            ended_at=_full_minute(last.ended_at) + after,
            dose_usv=Decimal(f"{true_usv * lognormal(rng, 1.0, READER_GSD):.1f}"),
            procedures=tuple(group),
        )


def _grouped(rng: np.random.Generator, hospital: Hospital, wearing: Wearing, badge: Badge) -> list[list[int]]:
    groups: list[list[int]] = []
    for index, procedure in enumerate(hospital.procedures):
        if wearing.doses_at(procedure, badge) is None:
            continue
        is_close = groups and procedure.started_at - hospital.procedures[groups[-1][-1]].ended_at < SESSION_MERGE_GAP
        if is_close and rng.random() < SESSION_MERGE_SHARE:
            groups[-1].append(index)
        else:
            groups.append([index])
    return groups


def _full_minute(instant: datetime) -> datetime:
    return instant.replace(second=0, microsecond=0)


def _periods(hospital: Hospital, wearing: Wearing, badge: Badge) -> Iterator[Period]:
    """Calendar months of a passive badge, in steps of 0.01 mSv."""
    rng = generator(hospital.seed, f"passive/{badge.serial}")
    factor = APRON_TRANSMISSION if badge.worn_at.startswith("under_apron") else 1.0
    by_month: dict[tuple[int, int], float] = defaultdict(float)
    for procedure in hospital.procedures:
        month = (procedure.procedure_date.year, procedure.procedure_date.month)
        by_month[month] += sum(wearing.doses_at(procedure, badge) or ()) * factor
    for month, true_usv in sorted(by_month.items()):
        dose_msv = Decimal(f"{true_usv / 1000 * lognormal(rng, 1.0, READER_GSD):.2f}")
        begin = date(*month, 1)
        end = (begin + timedelta(days=31)).replace(day=1) - timedelta(days=1)
        yield Period(badge.serial, begin, end, dose_msv if dose_msv >= PASSIVE_LOD_MSV else None)
