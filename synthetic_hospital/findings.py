"""Which alerts about single procedures the contract expects for the demo hospital.

Belongs here: the four rules that judge one operator in one procedure, written independently of the product's models.
Does not belong here: rules about months, limits, patients and rooms, and the rule that counts over ten procedures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from synthetic_hospital.catalogue import ADULT_AGE
from synthetic_hospital.expected import Expected, Share
from synthetic_hospital.hospital import Procedure

LEAST_REFERENCE = 20
REFERENCE_PERIOD = timedelta(days=365)
BORDERLINE = 0.05  # nearer to a threshold than this, relative: either answer is right

ROLE_GROUPS = {"second_operator": "assisting", "supervisor": "assisting"}  # any other role is its own group
OPERATORS = ("first_operator", "assisting")
# Floors of operators, and of nurses, technologists and others.
LEAST_DOSE_USV = (20.0, 5.0)
LEAST_DOSE_PER_KAP, LEAST_KAP_GY_CM2 = (1.0, 0.3), 1.0
C_ARM_PERCENT, C_ARM_CAP_PERCENT, LEAST_C_ARM_USV, LEAST_SHARED_USV = 10.0, 30.0, 20.0, 20.0
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

    @property
    def c_arm_percent(self) -> float:
        return 100 * self.hp10_usv / self.c_arm_usv

    @property
    def compared_with(self) -> tuple[str, str]:
        """Procedure class and role group."""
        return self.procedure.procedure_class.procedure_type, ROLE_GROUPS.get(self.role, self.role)

    @property
    def is_child(self) -> bool:
        return self.procedure.patient.age_on(self.procedure.procedure_date) < ADULT_AGE


def procedure_findings(expected: Expected) -> Iterator[Finding]:
    """Findings that fire or are borderline, procedures in order of time."""
    judged = list(_judged(expected))
    references = _References(judged)
    for row in judged:
        for finding in _findings(row, references.of(row)):
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
    """Rows of each class and role group that others are compared with; children are in none."""

    def __init__(self, judged: list[_Judged]) -> None:
        self._rows: dict[tuple[str, str], list[_Judged]] = {}
        for row in judged:
            if not row.is_child:
                self._rows.setdefault(row.compared_with, []).append(row)

    def of(self, row: _Judged) -> list[_Judged]:
        """Those of class and role group in the 365 days before a row's date."""
        day = row.procedure.procedure_date
        earliest, latest = day - REFERENCE_PERIOD, day - timedelta(days=1)
        rows = self._rows.get(row.compared_with, [])
        return [other for other in rows if earliest <= other.procedure.procedure_date <= latest]


def _findings(row: _Judged, reference: list[_Judged]) -> Iterator[Finding]:
    def finding(rule: str, value: float, threshold: float, n: int, severity: str) -> Finding:
        study_uid = row.procedure.study_uid
        fires = value > threshold
        return Finding(rule, study_uid, row.operator_id, value, threshold, n, severity, fires, row.is_decided)

    if not row.is_child:
        floor = 0 if row.compared_with[1] in OPERATORS else 1
        with_kap = [other for other in reference if other.kap_gy_cm2 > 0]
        with_c_arm = [other for other in reference if other.c_arm_usv >= LEAST_C_ARM_USV]
        if len(reference) >= LEAST_REFERENCE:
            limit = max(_third_quartile(reference, lambda other: other.hp10_usv), LEAST_DOSE_USV[floor])
            yield finding("procedure_dose", row.hp10_usv, limit, len(reference), "review")
        if len(with_kap) >= LEAST_REFERENCE and row.kap_gy_cm2 >= LEAST_KAP_GY_CM2:
            limit = max(_third_quartile(with_kap, lambda other: other.per_kap), LEAST_DOSE_PER_KAP[floor])
            yield finding("dose_per_kap", row.per_kap, limit, len(with_kap), "review")
        if row.c_arm_usv >= LEAST_C_ARM_USV and row.hp10_usv >= LEAST_SHARED_USV:
            limit = C_ARM_PERCENT
            if len(with_c_arm) >= LEAST_REFERENCE:
                quartile = _third_quartile(with_c_arm, lambda other: other.c_arm_percent)
                limit = max(C_ARM_PERCENT, min(C_ARM_CAP_PERCENT, quartile))
            yield finding("dose_to_c_arm", row.c_arm_percent, limit, len(with_c_arm), "notice")
    reached = next((step for step in ABSOLUTE_STEPS_USV if row.hp10_usv > step[0]), ABSOLUTE_STEPS_USV[-1])
    yield finding("absolute_dose", row.hp10_usv, reached[0], len(reference), reached[1])


def _third_quartile(rows: list[_Judged], value: Callable[[_Judged], float]) -> float:
    return float(np.quantile([value(row) for row in rows], 0.75))  # linear interpolation: type 7
