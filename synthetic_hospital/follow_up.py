"""What was done for the patients of the demo hospital after a high skin dose: a register that is filled in part.

Belongs here: drawing who was informed and whose skin was seen. Does not belong here: whose follow-up is due or overdue,
which is for the product to find.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from synthetic_hospital.hospital import Hospital, Procedure, generator
from synthetic_hospital.report_files import procedure_totals, report_conditions

# Ka,r of one plane. Levels of the SIR guideline (Stecker 2009): inform from 3 Gy, look at the skin from 5 Gy, erythema
# is likely from 10 Gy.
INFORM_MGY, SEE_MGY, ERYTHEMA_MGY = Decimal(3000), Decimal(5000), Decimal(10_000)
FORGOTTEN_EVERY, UNSEEN_EVERY = 4, 3  # of the procedures, in order of time: nothing was done; the skin was not seen
INFORMED_DAYS, SEEN_DAYS = (0, 8), (14, 29)  # after the procedure, from and below
LOWER_GRADES, UPPER_GRADES = (0, 2), (1, 3)  # of the skin, from and below: under and from ERYTHEMA_MGY


@dataclass(frozen=True, slots=True)
class FollowUp:
    """One row of reference/patient_followup.csv, as known on the last day of the hospital."""

    procedure: Procedure
    informed_on: date
    seen_on: date | None
    skin_grade: int | None


def draw_follow_ups(hospital: Hospital) -> Iterator[FollowUp]:
    """The rows of the register, procedures in order of time."""
    rng = generator(hospital.seed, "follow_up")
    last_day = hospital.preset.last_day
    for number, (procedure, ka_r_mgy) in enumerate(_high_doses(hospital), start=1):
        informed_on = procedure.procedure_date + timedelta(days=int(rng.integers(*INFORMED_DAYS)))
        seen_on = procedure.procedure_date + timedelta(days=int(rng.integers(*SEEN_DAYS)))
        grade = int(rng.integers(*(UPPER_GRADES if ka_r_mgy >= ERYTHEMA_MGY else LOWER_GRADES)))
        if number % FORGOTTEN_EVERY == 0 or informed_on > last_day:
            continue
        is_seen = ka_r_mgy >= SEE_MGY and number % UNSEEN_EVERY != 0 and seen_on <= last_day
        yield FollowUp(procedure, informed_on, seen_on if is_seen else None, grade if is_seen else None)


def _high_doses(hospital: Hospital) -> Iterator[tuple[Procedure, Decimal]]:
    """Procedures of which the accession number leads to the report, with Ka,r from the level at which to inform."""
    conditions = report_conditions(hospital)
    for procedure in hospital.procedures:
        condition = conditions.get(procedure.number)
        ka_r_mgy = max(plane.ka_r_mgy for plane in procedure_totals(procedure, condition).values())
        if ka_r_mgy >= INFORM_MGY and condition not in ("missing", "wrong_accession"):
            yield procedure, ka_r_mgy
