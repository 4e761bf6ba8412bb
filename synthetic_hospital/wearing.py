"""Where every badge really was: on its owner, in the drawer, on a colleague, on the C-arm or fallen off it.

Belongs here: drawing it, and the true dose that a badge was exposed to. Does not belong here: what people and C-arms
were exposed to (hospital.py) and what a badge makes of it (badges.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from synthetic_hospital.catalogue import Badge, Preset
from synthetic_hospital.hospital import Hospital, Procedure, generator

Wearer = tuple[int, str]  # procedure number, operator_id of the badge's owner


@dataclass(frozen=True, slots=True)
class Wearing:
    """Every badge that was not where it belongs.

    Attributes:
        unworn: badges in the drawer.
        swapped: whose body a badge was on instead of its owner's.
        dead: room and first and last local date on which its C-arm badge registered nothing.
        retaped: room and local date from which its C-arm badge shows ``retaped_factor`` of its former dose.
    """

    unworn: frozenset[Wearer]
    swapped: dict[Wearer, str]
    dead: tuple[str, date, date] | None
    retaped: tuple[str, date] | None
    retaped_factor: float

    def doses_at(self, procedure: Procedure, badge: Badge) -> tuple[float, ...] | None:
        """True dose per event, in microsievert, that a badge was exposed to; None: it was not in the procedure."""
        if badge.room_id:
            return self._c_arm(procedure) if procedure.room.room_id == badge.room_id else None
        owner = (procedure.number, badge.operator_id or "")
        if owner in self.unworn:
            return None
        wearer = self.swapped.get(owner, badge.operator_id)
        return next((p.event_usv for p in procedure.participants if p.operator_id == wearer), None)

    def is_alive(self, room_id: str, day: date) -> bool:
        """Whether a room's C-arm badge registered on a local date."""
        return not (self.dead and self.dead[0] == room_id and self.dead[1] <= day <= self.dead[2])

    def is_on_owner(self, procedure: Procedure, operator_id: str) -> bool:
        """Whether a person wore the own electronic badge."""
        return not {(procedure.number, operator_id)} & (self.unworn | self.swapped.keys())

    def _c_arm(self, procedure: Procedure) -> tuple[float, ...] | None:
        room_id, day = procedure.room.room_id, procedure.procedure_date
        if not self.is_alive(room_id, day):
            return None
        is_retaped = self.retaped and self.retaped[0] == room_id and self.retaped[1] <= day
        factor = self.retaped_factor if is_retaped else 1.0
        return tuple(dose * factor for dose in procedure.c_arm_usv)


def draw_wearing(hospital: Hospital) -> Wearing:
    """Who forgot or swapped a badge in which procedure, and what befell two C-arm badges."""
    preset = hospital.preset
    dirt = preset.dirt
    rng = generator(hospital.seed, "wearing")
    careless = preset.operators[int(rng.integers(len(preset.operators)))].operator_id
    with_samples = {badge.operator_id for badge in preset.badges() if badge.kind == "rate"}
    unworn: set[Wearer] = set()
    swapped: dict[Wearer, str] = {}
    for procedure in hospital.procedures:
        people = [person.operator_id for person in procedure.participants]
        pair = [person for person in people if person in with_samples][:2]
        luck = rng.random(len(people) + 1)
        if len(pair) == 2 and luck[-1] < dirt.swapped:
            first, second = pair
            swapped |= {(procedure.number, first): second, (procedure.number, second): first}
            continue
        unworn |= {
            (procedure.number, person)
            for person, chance in zip(people, luck, strict=False)
            if chance < (dirt.unworn_by_one if person == careless else dirt.unworn)
        }
    return Wearing(frozenset(unworn), swapped, _dead(rng, preset), _retaped(rng, preset), dirt.retaped_factor)


def _dead(rng: np.random.Generator, preset: Preset) -> tuple[str, date, date] | None:
    """Days from a Monday on, in the first room."""
    days = preset.dirt.dead_reference_days
    if not days:
        return None
    first = _monday(rng, preset)
    return preset.rooms[0].room_id, first, first + timedelta(days=days - 1)


def _retaped(rng: np.random.Generator, preset: Preset) -> tuple[str, date] | None:
    return (preset.rooms[-1].room_id, _monday(rng, preset)) if preset.dirt.retaped_factor != 1 else None


def _monday(rng: np.random.Generator, preset: Preset) -> date:
    """A Monday in the middle third of the period, or the first one after it began."""
    span = (preset.last_day - preset.first_day).days
    day = preset.first_day + timedelta(days=int(rng.integers(span // 3, max(span // 3 + 1, 2 * span // 3))))
    return day - timedelta(days=day.weekday())
