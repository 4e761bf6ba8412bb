"""Which alerts about single procedures the contract expects for the demo hospital.

Belongs here: the four rules that judge one operator in one procedure, written independently of the product's models.
Does not belong here: rules about months, limits, patients and rooms, and the rule that counts over ten procedures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from synthetic_hospital.expected import Expected, Share
from synthetic_hospital.hospital import Procedure

LEAST_REFERENCE = 20
REFERENCE_PERIOD = timedelta(days=365)
BORDERLINE = 0.05  # nearer to a threshold than this, relative: either answer is right

LEAST_DOSE_USV = 20.0
LEAST_DOSE_PER_KAP, LEAST_KAP_GY_CM2 = 1.0, 1.0
C_ARM_PERCENT, LEAST_C_ARM_USV = 10.0, 20.0
ABSOLUTE_STEPS_USV = ((200.0, "review"), (100.0, "notice"))


@dataclass(frozen=True, slots=True)
class Finding:
    """One case of a rule: it fires, or it is so near that it may."""

    rule: str
    study_uid: str
    operator_id: str
    value: float
    threshold: float
    n_reference: int
    severity: str
    fires: bool
    is_decided: bool

    @property
    def is_borderline(self) -> bool:
        """Whether the value is within 5 % of the threshold, or left open by the contract."""
        return not self.is_decided or abs(self.value - self.threshold) <= BORDERLINE * self.threshold


@dataclass(frozen=True, slots=True)
class _Judged:
    """One row of marts.fct_operator_procedure with hp10_usv."""

    procedure: Procedure
    operator_id: str
    role: str
    hp10_usv: float
    kap_gy_cm2: float
    c_arm_usv: float
    is_decided: bool

    @property
    def per_kap(self) -> float:
        return self.hp10_usv / self.kap_gy_cm2


def procedure_findings(expected: Expected) -> Iterator[Finding]:
    """Findings that fire or are borderline, procedures in order of time."""
    judged = list(_judged(expected))
    references = _References(judged)
    for row in judged:
        for finding in _findings(row, references.of(row.procedure)):
            if finding.fires or finding.is_borderline:
                yield finding


def _judged(expected: Expected) -> Iterator[_Judged]:
    for index, procedure in enumerate(expected.hospital.procedures):
        if not expected.is_present(procedure):
            continue
        kap = float(expected.kap_gy_cm2(index))
        c_arm = float(expected.sample_fsv[procedure.room.c_arm_badge][index]) / 1e9
        for person in procedure.participants:
            linked = expected.hp10_fsv(index, person.operator_id)
            if linked is not None:
                share = expected.shares.get((index, person.operator_id), Share())
                is_decided = share.is_decided or not share.linked_fsv
                yield _Judged(procedure, person.operator_id, person.role, linked / 1e9, kap, c_arm, is_decided)


class _References:
    """Rows of each class that others are compared with: the first operator's, else the one with the highest dose."""

    def __init__(self, judged: list[_Judged]) -> None:
        by_procedure: dict[int, list[_Judged]] = {}
        for row in judged:
            by_procedure.setdefault(row.procedure.number, []).append(row)
        self._by_class: dict[str, list[_Judged]] = {}
        for rows in by_procedure.values():
            first = [row for row in rows if row.role == "first_operator"]
            chosen = first or [min(rows, key=lambda row: (-row.hp10_usv, row.operator_id))]
            self._by_class.setdefault(rows[0].procedure.procedure_class.procedure_type, []).extend(chosen)

    def of(self, procedure: Procedure) -> list[_Judged]:
        """Those of the class in the 365 days before a procedure's date."""
        earliest, latest = procedure.procedure_date - REFERENCE_PERIOD, procedure.procedure_date - timedelta(days=1)
        rows = self._by_class.get(procedure.procedure_class.procedure_type, [])
        return [row for row in rows if earliest <= row.procedure.procedure_date <= latest]


def _findings(row: _Judged, reference: list[_Judged]) -> Iterator[Finding]:
    def finding(rule: str, value: float, threshold: float, n: int, severity: str) -> Finding:
        study_uid = row.procedure.study_uid
        fires = value > threshold
        return Finding(rule, study_uid, row.operator_id, value, threshold, n, severity, fires, row.is_decided)

    with_kap = [other for other in reference if other.kap_gy_cm2 > 0]
    if len(reference) >= LEAST_REFERENCE:
        limit = max(_third_quartile(reference, lambda other: other.hp10_usv), LEAST_DOSE_USV)
        yield finding("procedure_dose", row.hp10_usv, limit, len(reference), "review")
    if len(with_kap) >= LEAST_REFERENCE and row.kap_gy_cm2 >= LEAST_KAP_GY_CM2:
        limit = max(_third_quartile(with_kap, lambda other: other.per_kap), LEAST_DOSE_PER_KAP)
        yield finding("dose_per_kap", row.per_kap, limit, len(with_kap), "review")
    if row.c_arm_usv >= LEAST_C_ARM_USV:
        percent = 100 * row.hp10_usv / row.c_arm_usv
        yield finding("dose_to_c_arm", percent, C_ARM_PERCENT, len(reference), "notice")
    reached = next((step for step in ABSOLUTE_STEPS_USV if row.hp10_usv > step[0]), ABSOLUTE_STEPS_USV[-1])
    yield finding("absolute_dose", row.hp10_usv, reached[0], len(reference), reached[1])


def _third_quartile(rows: list[_Judged], value: Callable[[_Judged], float]) -> float:
    return float(np.quantile([value(row) for row in rows], 0.75))  # linear interpolation: type 7
