"""The pure, seeded model of a hospital's work: which procedures happened, when, by whom, and what dose went where.

Belongs here: drawing true events and doses from a preset. Does not belong here: what badges register (badges.py).
Doses here are a model's truth and therefore floats; what is exported or expected later is rounded to exact decimals.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from math import exp, radians, sin
from zoneinfo import ZoneInfo

import numpy as np

from synthetic_hospital.catalogue import (
    CARDIOLOGY,
    CHILD_KAP_SHARES,
    CHILD_SHARES,
    PROCEDURE_CLASSES,
    Operator,
    Preset,
    ProcedureClass,
    Room,
)
from synthetic_hospital.geometry import Place, draw_places
from synthetic_hospital.people import Patient, draw_patients, with_children
from synthetic_hospital.room_clocks import RoomClock, draw_clocks

# How staff dose comes about; calibration as in catalogue.py.
C_ARM_USV_PER_GY_CM2 = (8.5, 1.35)  # median and GSD of C-arm dose per KAP
FIELD_AREA_CM2 = (110.0, 1.35)  # KAP / Ka,r at the reference point
FLUORO_TIME_GSD, FLUORO_TIME_KAP_CORRELATION = 1.9, 0.8
OPERATOR_GSD = 1.7  # between persons
PROCEDURE_GSD = {CARDIOLOGY: 2.0}  # between procedures of one person; radiology and others:
OTHER_PROCEDURE_GSD = 2.2
NO_SHIELD_SHARE = {CARDIOLOGY: 0.12}
OTHER_NO_SHIELD_SHARE = 0.18
NO_SHIELD_FACTOR, SHIELD_FACTOR = 3.0, 0.85
MOST_TRANSMISSION = 0.9  # a badge never gets more of the C-arm dose than this
SECOND_OPERATOR_FACTOR, STAFF_FACTOR = 0.3, 0.1
EVENT_SIGMA = 0.5  # of the natural logarithm, between events of a procedure
# Dose at the table side for the same radiation, by the beam's direction: exp(slope x sine of the angle), so that left
# anterior oblique (positive primary angle) and cranial (positive secondary angle) beams give most. The tube is then on
# the operator's side, and what scatters most is the skin where the beam enters. The slopes lie between what two groups
# found: 1.5 times the straight beam's at LAO 30 cranial 30, 1.35 times at cranial 40 (simulation, Int J Environ Res
# Public Health 2021, 18:8097), and 23 times as much from left as from right anterior oblique (phantom, Heart 2003,
# PMC1767881). In practice cranial, LAO and LAO cranial beams give 86 % of the dose (Davidsen 2022, PLoS ONE
# 17:e0277436).
BEAM_SLOPES = (1.5, 1.0)  # primary, secondary
MEAN_BEAM_FACTOR = 1.337  # over the angles below: the dose of the hospital is that of the calibration
AT_TABLE_SIDE = frozenset({"first_operator", "second_operator", "supervisor"})  # others walk about
PRIMARY_ANGLE_DEG, SECONDARY_ANGLE_DEG = (0.0, 25.0), (5.0, 15.0)  # mean and standard deviation

TRAINEE_FIRST_SHARE = 0.2
SECOND_OPERATOR_SHARE = 0.4
PLANE_B_SHARE = 0.35  # of the events of a biplane system
STAFF_SHARE = 0.7  # nurse or technologist named in the logbook
WEEKEND_WEIGHT = 0.13  # procedures of a weekend day per working day: 5 % of all
FLUORO_EVENT_SHARE = (0.7, 0.9)
FLUORO_KAP_SHARE = (0.2, 0.6)

# Seconds. Beam-on of two events never lies closer than this, so that a 1-s sample belongs to one event even with a
# clock tolerance of 2 s on each side.
LEAST_EVENT_GAP_S = 6.0
EVENT_GAP_S = (25.0, 2.0)
TURNOVER_S = (1500.0, 1.5)
LEAST_TURNOVER_S = 900.0
ON_THE_WAY_S = 600.0  # somebody who leaves for another room gets no dose here from so long before the first beam there
DAY_STARTS_AT = time(8, 0)

# Pulses or frames per second of each event type, by specialty where it differs.
PULSE_RATES = {
    "fluoroscopy": Decimal("7.5"),
    "stationary_acquisition": Decimal(15),
    "stepping_acquisition": Decimal(3),
    "rotational_acquisition": Decimal(30),
}
SIGNIFICANT_DIGITS = 6  # of the doses that an X-ray system states
COPPER_MM = tuple(Decimal(text) for text in ("0.1", "0.2", "0.3", "0.6"))


@dataclass(frozen=True, slots=True)
class Event:
    """One irradiation event at true time: KAP and Ka,r as the X-ray system knows them, before any calibration factor.

    ``plane`` is single, A or B.
    """

    uid: str
    plane: str
    event_type: str
    started_at: datetime
    pulses: int
    pulse_rate_per_s: Decimal
    kap_gy_cm2: Decimal
    ka_r_mgy: Decimal
    kvp: Decimal
    tube_current_ma: Decimal
    primary_angle_deg: Decimal
    secondary_angle_deg: Decimal
    copper_mm: Decimal
    place: Place

    @property
    def duration_s(self) -> Decimal:
        """Beam-on time to the millisecond: pulses / rate."""
        return (self.pulses / self.pulse_rate_per_s).quantize(Decimal("0.001"))

    @property
    def beam_factor(self) -> float:
        """Dose at the table side for the same radiation, relative to the mean beam."""
        angles = (self.primary_angle_deg, self.secondary_angle_deg)
        return beam_factor(*(radians(angle) for angle in angles))

    @property
    def ended_at(self) -> datetime:
        """End of beam-on."""
        return self.started_at + timedelta(milliseconds=int(self.duration_s * 1000))


@dataclass(frozen=True, slots=True)
class Participant:
    """One person in a procedure and the true over-apron dose per event, in microsievert."""

    operator_id: str
    role: str
    event_usv: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Procedure:
    """One procedure: a study in a room with its events, people and true doses.

    Attributes:
        c_arm_usv: true dose at the place of the C-arm badge per event.
        kap_factor: calibration factor that holds on its date.
        modality_shift, badge_shift: what the room's two clocks showed more than true time when it began.
    """

    number: int
    study_uid: str
    accession_number: str
    room: Room
    procedure_class: ProcedureClass
    patient: Patient
    procedure_date: date
    events: tuple[Event, ...]
    c_arm_usv: tuple[float, ...]
    participants: tuple[Participant, ...]
    kap_factor: Decimal
    modality_shift: timedelta
    badge_shift: timedelta

    @property
    def started_at(self) -> datetime:
        """Start of the first event."""
        return self.events[0].started_at

    @property
    def ended_at(self) -> datetime:
        """End of the last event."""
        return self.events[-1].ended_at


@dataclass(frozen=True, slots=True)
class Hospital:
    """All that truly happened, procedures in order of time; clocks by room."""

    preset: Preset
    seed: int
    procedures: tuple[Procedure, ...]
    clocks: dict[str, RoomClock]


def beam_factor(primary: float, secondary: float) -> float:
    """Dose at the table side for the same radiation, relative to the mean beam; angles in radians."""
    return exp(BEAM_SLOPES[0] * sin(primary) + BEAM_SLOPES[1] * sin(secondary)) / MEAN_BEAM_FACTOR


def make_uid(seed: int, *what: object) -> str:
    """A DICOM UID under the UUID root 2.25 that depends on nothing but the seed and the name."""
    name = "/".join(str(part) for part in ("doseledger-demo", seed, *what))
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, name).int}"


def generator(seed: int, topic: str) -> np.random.Generator:
    """A random stream of its own for one topic, so that a new topic leaves the others as they were."""
    return np.random.default_rng([seed, *topic.encode()])


def draw_hospital(preset: Preset, seed: int) -> Hospital:
    """Draw all procedures of a preset; the same preset and seed give the same hospital."""
    rng = generator(seed, "procedures")
    factors = {person.operator_id: lognormal(rng, 1.0, OPERATOR_GSD) for person in preset.operators}
    slots = sorted(
        (slot for room in preset.rooms for slot in _schedule(rng, preset, room)),
        key=lambda slot: slot.start_s,
    )
    adults = draw_patients(generator(seed, "patients"), [slot.room.specialty for slot in slots], preset.first_day)
    patients = with_children(
        generator(seed, "children"),
        adults,
        [CHILD_SHARES.get(slot.procedure_class.procedure_type, 0.0) for slot in slots],
        [slot.day for slot in slots],
    )
    clocks = draw_clocks(generator(seed, "clocks"), preset)
    staff = _Staff(preset, generator(seed, "staff"))
    procedures: list[Procedure] = []
    for number, (slot, patient) in enumerate(zip(slots, patients, strict=True), start=1):
        team = staff.join(rng, slot, procedures)
        procedures.append(
            _procedure(rng, preset, seed, factors, number, slot, patient, team, clocks[slot.room.room_id])
        )
    return Hospital(preset, seed, tuple(procedures), clocks)


def lognormal(rng: np.random.Generator, median: float, gsd: float) -> float:
    """One value of a lognormal distribution, cut at 2.5 standard deviations: no fluoroscopy of ten hours."""
    return float(median * gsd ** max(-2.5, min(2.5, rng.standard_normal())))


def kap_share(age: int) -> float:
    """KAP of a patient of this age, relative to an adult's for the same work."""
    ages, shares = zip(*CHILD_KAP_SHARES, strict=True)
    return float(np.interp(age, ages, shares))


Team = list[tuple[Operator, str, float]]  # person, role, dose relative to the first operator's


@dataclass(frozen=True, slots=True)
class _Beam:
    """Timing of one event: seconds since the epoch."""

    event_type: str
    start_s: float
    pulses: int


@dataclass(frozen=True, slots=True)
class _Slot:
    """A procedure with its time and total KAP, before people and doses."""

    room: Room
    procedure_class: ProcedureClass
    day: date
    kap_gy_cm2: float
    events: tuple[_Beam, ...]

    @property
    def start_s(self) -> float:
        """Start of the first beam, seconds since the epoch."""
        return self.events[0].start_s

    @property
    def end_s(self) -> float:
        """End of the last beam."""
        last = self.events[-1]
        return last.start_s + last.pulses / float(PULSE_RATES[last.event_type])


def _schedule(rng: np.random.Generator, preset: Preset, room: Room) -> Iterator[_Slot]:
    """One room's procedures, one after the other on each day, never overlapping."""
    classes = [PROCEDURE_CLASSES[name] for name in room.classes]
    weights = np.array([c.weight for c in classes], dtype=float)
    chosen = rng.choice(len(classes), size=room.procedures, p=weights / weights.sum())
    zone = ZoneInfo(preset.timezone)
    free_from: dict[date, float] = {}
    for day, index in zip(_days(rng, preset, room.procedures), chosen, strict=True):
        opening = datetime.combine(day, DAY_STARTS_AT, zone).timestamp()
        start = free_from.get(day, opening + 60 * lognormal(rng, 12, 1.6))
        kap, events = _beams(rng, classes[index], start)
        slot = _Slot(room, classes[index], day, kap, tuple(events))
        free_from[day] = slot.end_s + LEAST_TURNOVER_S + lognormal(rng, *TURNOVER_S)
        yield slot


def _days(rng: np.random.Generator, preset: Preset, count: int) -> list[date]:
    """Dates of ``count`` procedures in order: mostly working days, a few weekend calls."""
    span = (preset.last_day - preset.first_day).days + 1
    days = [preset.first_day + timedelta(days=n) for n in range(span)]
    weights = np.array([WEEKEND_WEIGHT if day.weekday() >= 5 else 1.0 for day in days])
    return [days[n] for n in sorted(rng.choice(span, size=count, p=weights / weights.sum()))]


def _beams(rng: np.random.Generator, kind: ProcedureClass, start_s: float) -> tuple[float, list[_Beam]]:
    """Total KAP in Gy.cm2 and the beam-on times; fluoroscopy time goes with KAP."""
    z_kap, z_other = np.clip(rng.standard_normal(2), -2.5, 2.5)
    rho = FLUORO_TIME_KAP_CORRELATION
    kap = kind.kap_gy_cm2 * kind.kap_gsd**z_kap
    fluoro_s = 60 * kind.fluoro_min * FLUORO_TIME_GSD ** (rho * z_kap + (1 - rho**2) ** 0.5 * z_other)
    count = 1 + int(rng.negative_binomial(4, 4 / (4 + kind.events - 1)))
    n_fluoro = max(1, round(count * rng.uniform(*FLUORO_EVENT_SHARE)))
    fluoro = 2.2 ** rng.standard_normal(n_fluoro)
    acquisitions = np.exp(np.log(5.0) + 0.4 * rng.standard_normal(count - n_fluoro))
    durations = np.concatenate([fluoro * fluoro_s / fluoro.sum(), acquisitions])
    types = ["fluoroscopy"] * n_fluoro + [kind.acquisition] * (count - n_fluoro)
    order = rng.permutation(count)
    beams = []
    for index in order:
        rate = float(PULSE_RATES[types[index]])
        pulses = max(3, round(durations[index] * rate))
        beams.append(_Beam(types[index], round(start_s, 3), pulses))
        start_s += pulses / rate + LEAST_EVENT_GAP_S + lognormal(rng, *EVENT_GAP_S)
    return kap, beams


def _procedure(
    rng: np.random.Generator,
    preset: Preset,
    seed: int,
    factors: dict[str, float],
    number: int,
    slot: _Slot,
    patient: Patient,
    team: Team,
    clock: RoomClock,
) -> Procedure:
    size = kap_share(patient.age_on(slot.day))
    kap = _split_kap(rng, slot) * size
    c_arm = kap * lognormal(rng, *C_ARM_USV_PER_GY_CM2) * slot.room.scatter_factor
    factor = slot.room.calibration_on(slot.day)
    area = lognormal(rng, *FIELD_AREA_CM2) * size**0.5  # a child's smaller field and thinner body share in its KAP
    started_at = _instant(slot.start_s)
    planes = _planes(generator(seed, f"planes/{number}"), slot)
    places = draw_places(generator(seed, f"places/{number}"), len(slot.events))
    events = tuple(
        _event(rng, make_uid(seed, "event", number, n), plane, place, beam, true_kap / float(factor), area)
        for n, (plane, place, beam, true_kap) in enumerate(zip(planes, places, slot.events, kap, strict=True), start=1)
    )
    return Procedure(
        number=number,
        study_uid=make_uid(seed, "study", number),
        accession_number=f"D{preset.first_day:%y}{number:06d}",
        room=slot.room,
        procedure_class=slot.procedure_class,
        patient=patient,
        procedure_date=slot.day,
        events=events,
        c_arm_usv=tuple(float(dose) for dose in c_arm),
        participants=_participants(rng, factors, slot, c_arm, np.array([event.beam_factor for event in events]), team),
        kap_factor=factor,
        modality_shift=clock.modality_shift(started_at),
        badge_shift=clock.badge_shift(started_at),
    )


def _planes(rng: np.random.Generator, slot: _Slot) -> list[str]:
    """Plane of each event; a biplane system uses both in turn, never at the same time here."""
    if not slot.room.is_biplane:
        return ["single"] * len(slot.events)
    return ["B" if is_b else "A" for is_b in (rng.random(len(slot.events)) < PLANE_B_SHARE).tolist()]


def _split_kap(rng: np.random.Generator, slot: _Slot) -> np.ndarray:
    """The true KAP of each event: fluoroscopy has 20 to 60 % of it, each kind in proportion to time."""
    seconds = np.array([beam.pulses / float(PULSE_RATES[beam.event_type]) for beam in slot.events])
    weights = seconds * np.exp(0.3 * rng.standard_normal(len(seconds)))
    is_fluoro = np.array([beam.event_type == "fluoroscopy" for beam in slot.events])
    share = rng.uniform(*FLUORO_KAP_SHARE) if not is_fluoro.all() else 1.0
    weights[is_fluoro] *= share / weights[is_fluoro].sum()
    weights[~is_fluoro] *= (1 - share) / max(weights[~is_fluoro].sum(), 1e-12)
    return slot.kap_gy_cm2 * weights


def _event(
    rng: np.random.Generator,
    uid: str,
    plane: str,
    place: Place,
    beam: _Beam,
    reported_kap: float,
    area_cm2: float,
) -> Event:
    """One event with the geometry and beam values that reports carry."""
    z_kvp, z_current, z_primary, z_secondary = rng.standard_normal(4)
    return Event(
        uid=uid,
        plane=plane,
        event_type=beam.event_type,
        started_at=_instant(beam.start_s),
        pulses=beam.pulses,
        pulse_rate_per_s=PULSE_RATES[beam.event_type],
        kap_gy_cm2=stated(reported_kap),
        ka_r_mgy=stated(reported_kap / area_cm2 * 1000),
        kvp=_tenths(80 + 8 * z_kvp),
        tube_current_ma=_tenths(120 * 1.6**z_current),
        primary_angle_deg=_tenths(PRIMARY_ANGLE_DEG[0] + PRIMARY_ANGLE_DEG[1] * z_primary),
        secondary_angle_deg=_tenths(SECONDARY_ANGLE_DEG[0] + SECONDARY_ANGLE_DEG[1] * z_secondary),
        copper_mm=COPPER_MM[int(rng.integers(len(COPPER_MM)))],
        place=place,
    )


def _instant(seconds: float) -> datetime:
    """Seconds since the epoch, to the millisecond."""
    millisecond = round(seconds * 1000)
    return datetime.fromtimestamp(millisecond // 1000, UTC) + timedelta(milliseconds=millisecond % 1000)


def _participants(
    rng: np.random.Generator,
    factors: dict[str, float],
    slot: _Slot,
    c_arm: np.ndarray,
    beam_factors: np.ndarray,
    team: Team,
) -> tuple[Participant, ...]:
    """The true dose of everybody in a team: the first operator's by shield and habit, the others' relative to it."""
    specialty = slot.room.specialty
    first = team[0][0]
    shield = NO_SHIELD_FACTOR if rng.random() < NO_SHIELD_SHARE.get(specialty, OTHER_NO_SHIELD_SHARE) else SHIELD_FACTOR
    transmission = min(
        MOST_TRANSMISSION,
        slot.procedure_class.badge_to_c_arm
        * factors[first.operator_id]
        * lognormal(rng, 1.0, PROCEDURE_GSD.get(specialty, OTHER_PROCEDURE_GSD))
        * shield,
    )
    elsewhere = np.ones(len(c_arm))
    return tuple(
        Participant(
            person.operator_id,
            role,
            _event_doses(rng, transmission * factor, c_arm, beam_factors if role in AT_TABLE_SIDE else elsewhere),
        )
        for person, role, factor in team
    )


class _Staff:
    """Who is free, and who leaves one room for another. No person gets dose in two rooms at the same time."""

    def __init__(self, preset: Preset, rng: np.random.Generator) -> None:
        self._operators = preset.operators
        self._two_rooms = preset.dirt.two_rooms
        self._rng = rng
        self._last: dict[str, tuple[int, float]] = {}  # index of the procedure that somebody is in, and its end

    def join(self, rng: np.random.Generator, slot: _Slot, procedures: list[Procedure]) -> Team:
        """The team of a procedure; members who are still elsewhere leave there."""
        people = [person for person in self._operators if person.specialty == slot.room.specialty]
        free = [person for person in people if self._free_from(person) <= slot.start_s]
        team = _team(rng, free if any(p.is_physician for p in free) else people)
        elsewhere = [p for p in people if p.is_physician and self._free_from(p) - LEAST_TURNOVER_S > slot.start_s]
        if self._two_rooms and elsewhere and self._rng.random() < self._two_rooms:
            helper = elsewhere[int(self._rng.integers(len(elsewhere)))]
            if helper not in [person for person, _, _ in team]:
                team.append((helper, "supervisor", SECOND_OPERATOR_FACTOR))
        for person, _, _ in team:
            if self._free_from(person) > slot.start_s:
                index = self._last[person.operator_id][0]
                procedures[index] = _left(procedures[index], person, slot.start_s - ON_THE_WAY_S)
            self._last[person.operator_id] = (len(procedures), slot.end_s)
        return team

    def _free_from(self, person: Operator) -> float:
        """A person needs as long as a room between two procedures."""
        last = self._last.get(person.operator_id)
        return last[1] + LEAST_TURNOVER_S if last else 0.0


def _left(procedure: Procedure, person: Operator, at_s: float) -> Procedure:
    """A procedure that somebody left: no dose from events that had not ended by then."""

    def until_then(participant: Participant) -> Participant:
        doses = zip(procedure.events, participant.event_usv, strict=True)
        return replace(
            participant, event_usv=tuple(usv if event.ended_at.timestamp() <= at_s else 0.0 for event, usv in doses)
        )

    return replace(
        procedure,
        participants=tuple(until_then(p) if p.operator_id == person.operator_id else p for p in procedure.participants),
    )


def _team(rng: np.random.Generator, people: list[Operator]) -> Team:
    """The first operator, and all with role and dose relative to the first operator's."""
    consultants = [p for p in people if p.grade == "consultant"]
    trainees = [p for p in people if p.grade == "trainee"]
    consultant = (consultants or trainees)[int(rng.integers(len(consultants or trainees)))]
    others = [p for p in people if p.is_physician and p is not consultant]
    first, second = consultant, None
    if trainees and consultants and rng.random() < TRAINEE_FIRST_SHARE:
        first, second = trainees[int(rng.integers(len(trainees)))], consultant
    elif others and rng.random() < SECOND_OPERATOR_SHARE:
        second = others[int(rng.integers(len(others)))]
    team = [(first, "first_operator", 1.0)]
    if second:
        team.append((second, "second_operator", SECOND_OPERATOR_FACTOR))
    staff = [p for p in people if not p.is_physician]
    if staff and rng.random() < STAFF_SHARE:
        person = staff[int(rng.integers(len(staff)))]
        team.append((person, person.grade, STAFF_FACTOR))
    return team


def _event_doses(
    rng: np.random.Generator, transmission: float, c_arm: np.ndarray, beam_factors: np.ndarray
) -> tuple[float, ...]:
    """A person's dose by event: by scatter, with the person's changing place, and by the beam's direction."""
    weights = c_arm * np.exp(EVENT_SIGMA * rng.standard_normal(len(c_arm)))
    doses = transmission * c_arm.sum() * weights / weights.sum() * beam_factors
    most = MOST_TRANSMISSION * c_arm.sum()
    return tuple(float(dose) for dose in doses * min(1.0, most / doses.sum()))


def stated(value: float | Decimal) -> Decimal:
    """A dose as X-ray systems state it: six significant digits, written without exponent."""
    return Decimal(format(Decimal(f"{value:.{SIGNIFICANT_DIGITS - 1}e}"), "f"))


def _tenths(value: float) -> Decimal:
    return Decimal(f"{value:.1f}")
