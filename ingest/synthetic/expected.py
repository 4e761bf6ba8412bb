"""What the contracts make of the demo hospital's readings: which dose belongs to which procedure, exactly.

Belongs here: sums of samples, and the contract's rules for hourly totals and sessions, written independently of the
product. Does not belong here: the tables (truth.py). Doses are whole femtosieverts until they are shared out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property

import numpy as np

from ingest.synthetic.badges import FSV_PER_USV, Hour, IntArray, Readings, Session
from ingest.synthetic.catalogue import Badge
from ingest.synthetic.hospital import Hospital, Procedure
from ingest.synthetic.report_files import report_conditions

HOUR = timedelta(hours=1)


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


class Expected:
    """Expected sums of one hospital's readings; procedures are named by their index."""

    def __init__(self, hospital: Hospital, readings: Readings) -> None:
        self.hospital = hospital
        self.readings = readings
        self.conditions = report_conditions(hospital)
        self.badges = {badge.serial: badge for badge in hospital.preset.badges()}

    def is_present(self, procedure: Procedure) -> bool:
        """Whether a report of the procedure was sent."""
        return self.conditions.get(procedure.number) != "missing"

    def electronic_badge(self, operator_id: str) -> Badge:
        """The one badge of a person that is not passive."""
        return next(b for b in self.badges.values() if b.operator_id == operator_id and b.kind != "passive")

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

    def hp10_fsv(self, index: int, operator_id: str) -> int | None:
        """Dose linked to an operator in a procedure; None: nothing but apportioned dose, which is never added to it."""
        badge = self.electronic_badge(operator_id)
        share = self.shares.get((index, operator_id), Share())
        linked = int(self.sample_fsv[badge.serial][index]) if badge.kind == "rate" else share.linked_fsv
        return linked if linked or not share.apportioned_fsv else None

    def present_in(self, session: Session) -> list[int]:
        """Procedures with a report during which a session badge was worn."""
        return [index for index in session.procedures if self.is_present(self.hospital.procedures[index])]

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
                end = hour.started_at + HOUR
                candidates = self._candidates(operator_id, hour.started_at, end)
                for index, share in self._apportion(rest, candidates, hour.started_at, end):
                    yield index, operator_id, share

    def _session_shares(self) -> Iterator[tuple[int, str, Share]]:
        for session in self.readings.sessions:
            operator_id = self.badges[session.serial].operator_id
            if operator_id is None:
                continue
            present = self.present_in(session)
            fsv = int(session.dose_usv * FSV_PER_USV)
            if len(present) == 1:
                yield present[0], operator_id, Share(linked_fsv=fsv)
            elif fsv:
                for index, share in self._apportion(fsv, present, session.started_at, session.ended_at):
                    yield index, operator_id, share

    def _candidates(self, operator_id: str, begin: datetime, end: datetime) -> list[int]:
        """Procedures of a span in which the logbook names the person; if none, those in rooms of the specialty."""
        overlapping = [
            (index, p)
            for index, p in enumerate(self.hospital.procedures)
            if p.started_at < end and p.ended_at > begin and self.is_present(p)
        ]
        named = [index for index, p in overlapping if operator_id in {who.operator_id for who in p.participants}]
        specialty = next(p.specialty for p in self.hospital.preset.operators if p.operator_id == operator_id)
        return named or [index for index, p in overlapping if p.room.specialty == specialty]

    def _apportion(
        self, fsv: int, candidates: list[int], begin: datetime, end: datetime
    ) -> Iterator[tuple[int, Share]]:
        """Shares by the C-arm badge's samples in the overlap; where it has none, what comes next is left open."""
        weights = [self._c_arm_fsv(self.hospital.procedures[index], begin, end) for index in candidates]
        if len(candidates) == 1:
            weights = [1]
        total = sum(weights)
        for index, weight in zip(candidates, weights, strict=True):
            portion = Decimal(fsv) * weight / total if total else Decimal(0)
            yield index, Share(apportioned_fsv=portion, is_decided=bool(total))

    def _c_arm_fsv(self, procedure: Procedure, begin: datetime, end: datetime) -> int:
        samples = self.readings.samples[procedure.room.c_arm_badge]
        span = [int(max(begin, procedure.started_at).timestamp()), min(end, procedure.ended_at).timestamp()]
        first, last = np.searchsorted(samples.second, span)
        return int(samples.dose_fsv[first:last].sum())

    @cached_property
    def _sampled_by_hour(self) -> dict[tuple[str, int], int]:
        sums: dict[tuple[str, int], int] = {}
        for serial, samples in self.readings.samples.items():
            hours, inverse = np.unique(samples.second // 3600, return_inverse=True)
            doses = sum_by(inverse, samples.dose_fsv, len(hours))
            sums.update({(serial, hour): dose for hour, dose in zip(hours.tolist(), doses.tolist(), strict=True)})
        return sums


def sum_by(group: IntArray, dose_fsv: IntArray, groups: int) -> IntArray:
    """Exact integer sums of doses by group number."""
    sums = np.zeros(groups, dtype=np.int64)
    np.add.at(sums, group, dose_fsv)
    return sums
