"""The demo hospital's patients: invented names in several scripts, IDs, ages.

Belongs here: who is treated. Does not belong here: staff (catalogue.py) and what is done to the patients (hospital.py).
Family names are built from syllables so that no real person has them and a search for one finds nothing else.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np

from synthetic_hospital.catalogue import ADULT_AGE

ISSUER = "DEMO-HIS"
PLACEHOLDER_ID = "ANONYMOUS"  # what a registry sends for an unknown patient; no key may be made of it
RETURNING_SHARE = 0.12
PLACEHOLDER_SHARE = 0.005


@dataclass(frozen=True, slots=True)
class Patient:
    """One patient; ``dicom_name`` is a DICOM person name, ``phi`` the strings that nothing published may contain."""

    patient_id: str
    dicom_name: str
    birth_date: date
    sex: str
    phi: tuple[str, ...]

    def age_on(self, day: date) -> int:
        """Age in completed years."""
        return day.year - self.birth_date.year - ((day.month, day.day) < (self.birth_date.month, self.birth_date.day))


# Per script: share, syllables and ending of the family name, given names. Only family names and IDs are searched for:
# a given name alone is also the name of half the staff.
_SCRIPTS = (
    (0.62, ("Bar", "Cen", "Dul", "Fer", "Gon", "Hil", "Jor", "Lam", "Mir", "Nav"), "ez", ("María", "José", "Íñigo")),
    (0.12, ("Дор", "Вел", "Мир", "Рос", "Тур", "Кал"), "ский", ("Анна", "Пётр")),
    (0.10, ("Δορ", "Βελ", "Μιρ", "Καλ", "Τορ", "Λαμ"), "όπουλος", ("Ελένη", "Νίκος")),
    (0.10, ("دور", "فلم", "مير", "كال", "تور", "سلم"), "اوي", ("آدم", "ليلى")),
    (0.06, ("霧", "鷺", "橡", "檜", "楓", "蓮"), "澤", ("春子", "健一")),
)


def draw_patients(rng: np.random.Generator, specialties: list[str], first_day: date) -> list[Patient]:
    """One patient per procedure, in order; some come back to the same specialty."""
    patients: list[Patient] = []
    seen: dict[str, list[Patient]] = {}
    for specialty in specialties:
        known = seen.setdefault(specialty, [])
        if known and rng.random() < RETURNING_SHARE:
            patient = known[int(rng.integers(len(known)))]
        else:
            patient = _new_patient(rng, len(patients), first_day)
            known.append(patient)
        patients.append(patient)
    return patients


def with_children(
    rng: np.random.Generator, patients: list[Patient], child_shares: list[float], days: list[date]
) -> list[Patient]:
    """The same patients, some of them children: of those treated once, by the share of children in their class."""
    visits = Counter(patients)
    shares = np.array([share if visits[who] == 1 else 0 for who, share in zip(patients, child_shares, strict=True)])
    if not shares.any():
        return patients
    count = max(1, round(shares.sum()))
    children = list(patients)
    for index in rng.choice(len(patients), size=count, replace=False, p=shares / shares.sum()).tolist():
        age_days = int(rng.uniform(0, ADULT_AGE) * 365)
        children[index] = replace(patients[index], birth_date=days[index] - timedelta(days=age_days))
    return children


def another(patient: Patient) -> Patient:
    """Somebody else, under whom a report was filed by mistake: the name and number follow from the right one's."""
    family, _, given = patient.dicom_name.partition("^")
    return Patient(
        patient_id=f"X{patient.patient_id}",
        dicom_name=f"{family}{family[0].lower()}^{given}",
        birth_date=patient.birth_date - timedelta(days=400),
        sex=patient.sex,
        phi=(f"{family}{family[0].lower()}", f"X{patient.patient_id}"),
    )


def _new_patient(rng: np.random.Generator, number: int, first_day: date) -> Patient:
    shares = np.array([script[0] for script in _SCRIPTS])
    _, syllables, ending, given_names = _SCRIPTS[int(rng.choice(len(_SCRIPTS), p=shares / shares.sum()))]
    family = "".join(syllables[n] for n in rng.choice(len(syllables), size=3)).capitalize() + ending
    given = given_names[int(rng.integers(len(given_names)))]
    age_days = int(np.clip(rng.normal(67, 13), 18, 95) * 365.25)
    has_id = rng.random() >= PLACEHOLDER_SHARE
    patient_id = f"HX{number:03d}{int(rng.integers(10**5)):05d}{'ABCDEFGHJK'[int(rng.integers(10))]}"
    return Patient(
        patient_id=patient_id if has_id else PLACEHOLDER_ID,
        dicom_name=f"{family}^{given}",
        birth_date=first_day - timedelta(days=age_days),
        sex=str(rng.choice(["F", "M"])),
        phi=(family, patient_id) if has_id else (family,),
    )
