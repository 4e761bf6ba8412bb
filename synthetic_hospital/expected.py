"""What the contracts make of the demo hospital's readings: which dose belongs to which procedure, exactly.

Belongs here: sums of samples, and the contract's rules for hourly totals and sessions, written independently of the
product. Does not belong here: the tables (truth.py). Doses are whole femtosieverts until they are shared out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from functools import cached_property

import numpy as np

from synthetic_hospital.badges import FSV_PER_USV, FloatArray, Hour, IntArray, Readings, Session
from synthetic_hospital.catalogue import Badge
from synthetic_hospital.hospital import Hospital, Procedure
from synthetic_hospital.report_files import Totals, procedure_totals, report_conditions

HOUR_S = 3600.0
PRESENCE_MARGIN_S = 3600.0
# Nearer to an edge than this, clocks and the contract's margin of 60 s decide: such a case is left open.
EDGE_S = 150.0


@dataclass(frozen=True, slots=True)
class Share:
    """Dose of hours and sessions of an operator in a procedure; ``is_decided``: the contract leaves no doubt."""

    linked_fsv: int = 0
    apportioned_fsv: Decimal = Decimal(0)
    is_decided: bool = True

    def __add__(self, other: Share) -> Share:
        return Share(
            self.linked_fsv + other.linked_fsv,
            self.apportioned_fsv + other.apportioned_fsv,
            self.is_decided and other.is_decided,
        )


@dataclass(frozen=True, slots=True)
class Spans:
    """Begin and end of every procedure by one kind of clock, seconds since the epoch."""

    begin_s: FloatArray
    end_s: FloatArray

    def touched_by(self, begin_s: float, end_s: float, margin_s: float = 0.0) -> IntArray:
        """Procedures that a span overlaps, each made longer at both ends by a margin."""
        return np.flatnonzero((self.begin_s - margin_s < end_s) & (self.end_s + margin_s > begin_s))


class Expected:
    """Expected sums of one hospital's readings; procedures are named by their index."""

    def __init__(self, hospital: Hospital, readings: Readings) -> None:
        self.hospital = hospital
        self.readings = readings
        self.conditions = report_conditions(hospital)
        self.badges = {badge.serial: badge for badge in hospital.preset.badges()}
        self._electronic = {b.operator_id: b for b in self.badges.values() if b.operator_id and b.kind != "passive"}
        self._specialty = {person.operator_id: person.specialty for person in hospital.preset.operators}
        self._named = [{who.operator_id for who in p.participants} for p in hospital.procedures]
        self._is_present = np.array([self.is_present(p) for p in hospital.procedures])
        # Badges and C-arms follow their hub; readers without hub are compared with the X-ray system's clock.
        self.by_badge_clock = _spans(hospital, [p.badge_shift for p in hospital.procedures])
        self.by_modality_clock = _spans(hospital, [p.modality_shift for p in hospital.procedures])

    @cached_property
    def totals(self) -> list[dict[str, Totals]]:
        """Totals by plane of every procedure."""
        return [procedure_totals(p, self.conditions.get(p.number)) for p in self.hospital.procedures]

    def has_c_arm_badge(self, index: int) -> bool:
        """Whether the room's C-arm badge lived on the day of a procedure."""
        p = self.hospital.procedures[index]
        return self.readings.wearing.is_alive(p.room.room_id, p.procedure_date)

    def kap_gy_cm2(self, index: int) -> Decimal:
        """Calibrated KAP of a procedure."""
        reported = sum((plane.kap_gy_cm2 for plane in self.totals[index].values()), Decimal(0))
        return reported * self.hospital.procedures[index].kap_factor

    def is_present(self, procedure: Procedure) -> bool:
        """Whether a report of the procedure was sent."""
        return self.conditions.get(procedure.number) != "missing"

    def electronic_badge(self, operator_id: str) -> Badge:
        """The one badge of a person that is not passive."""
        return self._electronic[operator_id]

    @cached_property
    def sample_fsv(self) -> dict[str, IntArray]:
        """Each badge's samples, summed by procedure."""
        count = len(self.hospital.procedures)
        return {
            serial: sum_by(samples.procedure, samples.dose_fsv, count)
            for serial, samples in self.readings.samples.items()
        }

    def covered_fsv(self, hour: Hour) -> int:
        """The part of an hourly total that the same badge's samples show already."""
        sampled = self._sampled_by_hour.get((hour.serial, int(hour.started_at.timestamp()) // 3600), 0)
        return min(hour.dose_usv * FSV_PER_USV, sampled)

    @cached_property
    def n_samples(self) -> dict[str, IntArray]:
        """Number of each badge's samples by procedure."""
        count = len(self.hospital.procedures)
        return {serial: np.bincount(s.procedure, minlength=count) for serial, s in self.readings.samples.items()}

    def linked_fsv(self, index: int, operator_id: str) -> int:
        """Dose of samples or a session that belongs to an operator in a procedure."""
        badge = self.electronic_badge(operator_id)
        if badge.kind == "rate":
            return int(self.sample_fsv[badge.serial][index])
        return self.shares.get((index, operator_id), Share()).linked_fsv

    def statuses(self, index: int, operator_id: str) -> tuple[str, ...]:
        """Status of a row to be published; several where clocks decide."""
        if self.linked_fsv(index, operator_id) or self.shares.get((index, operator_id), Share()).apportioned_fsv:
            return ("measured",)
        signs = {self._has_sign_of_life(index, operator_id, PRESENCE_MARGIN_S + edge) for edge in (-EDGE_S, EDGE_S)}
        return tuple("zero" if sign else "missing" for sign in sorted(signs))

    def hp10_fsv(self, index: int, operator_id: str) -> int | None:
        """Dose of a row to be published; None: the badge was missing, or all dose is apportioned."""
        linked = self.linked_fsv(index, operator_id)
        return linked if linked or self.statuses(index, operator_id) == ("zero",) else None

    def _has_sign_of_life(self, index: int, operator_id: str, margin_s: float) -> bool:
        badge = self.electronic_badge(operator_id)
        spans = self.by_badge_clock if badge.kind == "rate" else self.by_modality_clock
        begins, ends = self._records[badge.serial]
        begin, end = spans.begin_s[index] - margin_s, spans.end_s[index] + margin_s
        return bool(((begins <= end) & (ends >= begin)).any())

    @cached_property
    def _records(self) -> dict[str, tuple[FloatArray, FloatArray]]:
        """Begin and end of all records of each badge that show it alive; samples are within its hours."""
        spans: dict[str, list[tuple[float, float]]] = defaultdict(list)
        for hour in self.readings.hours:
            begin = hour.started_at.timestamp()
            if hour.dose_usv or hour.source_id != "counter_hours":  # a counter is read out also when nobody wears it
                spans[hour.serial].append((begin, begin + HOUR_S))
        for session in self.readings.sessions:
            spans[session.serial].append((session.started_at.timestamp(), session.ended_at.timestamp()))
        for serial, samples in self.readings.samples.items():
            if self.badges[serial].hours_source == "counter_hours":
                runs = np.unique(samples.second // 60) * 60.0  # to the minute: less than EDGE_S
                spans[serial] += [(begin, begin + 60) for begin in runs.tolist()]
        return {serial: _columns(spans.get(serial, [])) for serial in self.badges}

    def is_surely_nowhere(self, session: Session) -> bool:
        """Whether no procedure with a report can have given a session its dose."""
        begin, end = session.started_at.timestamp(), session.ended_at.timestamp()
        operator_id = self.badges[session.serial].operator_id or ""
        return self._candidates(operator_id, self.by_modality_clock, begin, end) == ([], True)

    @cached_property
    def shares(self) -> dict[tuple[int, str], Share]:
        """What hourly residuals and sessions give to (procedure, operator): output contract, *Linking*, step 4."""
        shares: dict[tuple[int, str], Share] = defaultdict(Share)
        for index, operator_id, share in [*self._hour_shares(), *self._session_shares()]:
            shares[index, operator_id] += share
        return dict(shares)

    def _hour_shares(self) -> Iterator[tuple[int, str, Share]]:
        for hour in self.readings.hours:
            operator_id = self.badges[hour.serial].operator_id
            rest = hour.dose_usv * FSV_PER_USV - self.covered_fsv(hour)
            if operator_id and rest:
                begin = hour.started_at.timestamp()
                candidates, is_certain = self._candidates(operator_id, self.by_badge_clock, begin, begin + HOUR_S)
                for index, share in self._apportion(rest, candidates, begin, begin + HOUR_S, is_certain):
                    yield index, operator_id, share

    def _session_shares(self) -> Iterator[tuple[int, str, Share]]:
        for session in self.readings.sessions:
            operator_id = self.badges[session.serial].operator_id
            fsv = int(session.dose_usv * FSV_PER_USV)
            if operator_id is None:
                continue
            begin, end = session.started_at.timestamp(), session.ended_at.timestamp()
            candidates, is_certain = self._candidates(operator_id, self.by_modality_clock, begin, end)
            if len(candidates) == 1:
                yield candidates[0], operator_id, Share(linked_fsv=fsv, is_decided=is_certain)
            elif fsv:
                for index, share in self._apportion(fsv, candidates, begin, end, is_certain):
                    yield index, operator_id, share

    def _candidates(self, operator_id: str, spans: Spans, begin_s: float, end_s: float) -> tuple[list[int], bool]:
        """Procedures in which a span's dose may have come, and whether no edge is so near that clocks decide.

        Those that the span overlaps and in which the logbook names the person; if none, those of the specialty's rooms.
        """
        choices = [
            self._named_or_own(operator_id, spans.touched_by(begin_s, end_s, edge)) for edge in (0.0, -EDGE_S, EDGE_S)
        ]
        return choices[0], choices[1] == choices[0] == choices[2]

    def _named_or_own(self, operator_id: str, touched: IntArray) -> list[int]:
        present = [index for index in touched.tolist() if self._is_present[index]]
        named = [index for index in present if operator_id in self._named[index]]
        specialty = self._specialty[operator_id]
        return named or [i for i in present if self.hospital.procedures[i].room.specialty == specialty]

    def _apportion(
        self, fsv: int, candidates: list[int], begin_s: float, end_s: float, is_certain: bool
    ) -> Iterator[tuple[int, Share]]:
        """Shares by the C-arm badges' samples in the overlap; where one has none, what comes next is left open."""
        weights = [self._c_arm_fsv(index, begin_s, end_s) for index in candidates]
        if len(candidates) == 1:
            weights = [1]
        total = sum(weights)
        is_decided = is_certain and total > 0 and (len(candidates) == 1 or all(map(self.has_c_arm_badge, candidates)))
        for index, weight in zip(candidates, weights, strict=True):
            portion = Decimal(fsv) * weight / total if total else Decimal(0)
            yield index, Share(apportioned_fsv=portion, is_decided=is_decided)

    def _c_arm_fsv(self, index: int, begin_s: float, end_s: float) -> int:
        spans = self.by_badge_clock
        samples = self.readings.samples[self.hospital.procedures[index].room.c_arm_badge]
        edges = [int(max(begin_s, spans.begin_s[index])), min(end_s, spans.end_s[index])]
        first, last = np.searchsorted(samples.second, edges)
        return int(samples.dose_fsv[first:last].sum())

    @cached_property
    def _sampled_by_hour(self) -> dict[tuple[str, int], int]:
        sums: dict[tuple[str, int], int] = {}
        for serial, samples in self.readings.samples.items():
            hours, inverse = np.unique(samples.second // 3600, return_inverse=True)
            doses = sum_by(inverse, samples.dose_fsv, len(hours))
            sums.update({(serial, hour): dose for hour, dose in zip(hours.tolist(), doses.tolist(), strict=True)})
        return sums


def _spans(hospital: Hospital, shifts: list[timedelta]) -> Spans:
    moved = list(zip(hospital.procedures, shifts, strict=True))
    return Spans(
        np.array([(p.started_at + shift).timestamp() for p, shift in moved]),
        np.array([(p.ended_at + shift).timestamp() for p, shift in moved]),
    )


def _columns(spans: list[tuple[float, float]]) -> tuple[FloatArray, FloatArray]:
    table = np.array(spans, dtype=np.float64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def sum_by(group: IntArray, dose_fsv: IntArray, groups: int) -> IntArray:
    """Exact integer sums of doses by group number."""
    sums = np.zeros(groups, dtype=np.int64)
    np.add.at(sums, group, dose_fsv)
    return sums
