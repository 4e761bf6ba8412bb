"""Offset of each reader's clock that the procedures of its wearers show, per room or for all rooms that agree.

A Python model, because the estimator is one pure function (ingest/reader_clocks.py) that SQL feeds. Which offset is in
force on a day, carried or declared, is decided in int_reader_clock.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import date
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from ingest.reader_clocks import REACH_S, PersonDay, ReaderOffset, estimate

SCHEMA = pa.schema(
    {
        "source_id": pa.string(),
        "room_id": pa.string(),
        "is_by_modality": pa.bool_(),
        "day": pa.date32(),
        "offset_s": pa.float64(),
        "uncertainty_s": pa.float64(),
        "n_records": pa.int64(),
        "n_people": pa.int64(),
        "n_days": pa.int64(),
        "runner_up_s": pa.float64(),
        "likelihood_ratio": pa.float64(),
        "chance": pa.float64(),
        "is_accepted": pa.bool_(),
    }
)


class WornDay(NamedTuple):
    """The records and beams of one person on one day, and the rooms, by whether their clock is known that day."""

    evidence: PersonDay
    known: frozenset[str]
    unknown: frozenset[str]


def model(dbt: Any, session: Any) -> pa.Table:  # noqa: ANN401, ARG001 - dbt's own signature
    """One row per source, room (NULL: all rooms that agree), clock and local date with evidence."""
    dbt.config(materialized="table")
    records = dbt.ref("int_reader_record").order("source_id, started_s, ended_s, dose_key").fetchall()
    beams = dbt.ref("int_reader_beam").order("started_s, irradiation_event_uid").fetchall()
    days = _worn_days(records, beams)
    rows = [
        {"source_id": source_id, **series._asdict(), **asdict(offset)}
        for source_id in sorted(days)
        for series, offsets in offsets_of(days[source_id], _others(days, source_id)).items()
        for offset in offsets
    ]
    return pa.Table.from_pylist(rows, SCHEMA)


class Series(NamedTuple):
    """What a reader is compared with: one room (None: all with a known clock), by badges' or modality's clock."""

    room_id: str | None
    is_by_modality: bool


def offsets_of(days: Sequence[WornDay], others: Sequence[PersonDay]) -> dict[Series, list[ReaderOffset]]:
    """Estimate one reader's offsets: of the rooms with a known clock together where they agree, else of each room.

    A room is estimated apart from the days on which its own clock is not known, by the modality's clock.

    Args:
        days: of one reader.
        others: days of the other readers, for the shuffles.
    """

    def estimates(chosen: Iterable[WornDay]) -> list[ReaderOffset]:
        return estimate([day.evidence for day in chosen], others)

    known = sorted(frozenset().union(*(day.known for day in days)))
    unknown = sorted(frozenset().union(*(day.unknown for day in days)))
    of_room = {room: estimates(day for day in days if day.known == {room} and not day.unknown) for room in known}
    found = {
        Series(room, True): estimates(day for day in days if day.unknown == {room} and not day.known)
        for room in unknown
    }
    if do_agree(of_room.values()):
        return found | {Series(None, False): estimates(day for day in days if not day.unknown)}
    return found | {Series(room, False): offsets for room, offsets in of_room.items()}


def do_agree(rooms: Iterable[Sequence[ReaderOffset]]) -> bool:
    """Tell whether no two rooms contradict each other: on days of both, within twice their uncertainties."""
    accepted = [{offset.day: offset for offset in offsets if offset.is_accepted} for offsets in rooms]
    for one, other in combinations(accepted, 2):
        gaps = [
            abs(one[day].offset_s - other[day].offset_s)
            - 2 * np.hypot(one[day].uncertainty_s, other[day].uncertainty_s)
            for day in one.keys() & other.keys()
        ]
        if gaps and np.median(gaps) > 0:
            return False
    return True


def _worn_days(records: list[Any], beams: list[Any]) -> dict[str, list[WornDay]]:
    """By source each person's days."""
    of_day: dict[tuple[str, date], list[Any]] = defaultdict(list)
    for operator_id, day, procedure_id, room_id, is_clock_known, _, started_s, ended_s, kap in beams:
        of_day[operator_id, day].append((procedure_id, room_id, started_s, ended_s, kap, is_clock_known))
    worn: dict[tuple[str, str, date], list[tuple[float, float, float]]] = defaultdict(list)
    for _, source_id, operator_id, day, started_s, ended_s, has_dose in records:
        worn[source_id, operator_id, day].append((started_s, ended_s, float(has_dose)))
    days: dict[str, list[WornDay]] = defaultdict(list)
    for (source_id, operator_id, day), spans in worn.items():
        if found := _worn_day(day, operator_id, np.array(spans), of_day.get((operator_id, day), [])):
            days[source_id].append(found)
    return days


def _worn_day(day: date, operator_id: str, records: Any, beams: list[Any]) -> WornDay | None:  # noqa: ANN401
    """None where there is no dose, or no searched offset brings it to a beam."""
    dosed = records[records[:, 2] > 0]
    if not len(dosed):
        return None
    begin, end = dosed[:, 0].min() - REACH_S, dosed[:, 1].max() + REACH_S
    near = [beam for beam in beams if beam[3] > begin and beam[2] < end]
    if not near:
        return None
    numbers = {procedure_id: number for number, procedure_id in enumerate(sorted({beam[0] for beam in near}))}
    # KAP where every beam states it, else seconds: two units are never mixed.
    has_kap = all(beam[4] for beam in near)
    rows = [
        (started, max(ended, started + 1.0), kap if has_kap else max(ended - started, 1.0), numbers[procedure_id])
        for procedure_id, _, started, ended, kap, _ in near
    ]
    midnight_s = (day - date(1970, 1, 1)).days * 86400.0
    evidence = PersonDay(
        day,
        operator_id,
        records - np.array([midnight_s, midnight_s, 0.0]),
        np.array(rows) - np.array([midnight_s, midnight_s, 0.0, 0.0]),
    )
    known = frozenset(beam[1] for beam in near if beam[5])
    return WornDay(evidence, known, frozenset(beam[1] for beam in near) - known)


def _others(days: dict[str, list[WornDay]], source_id: str) -> list[PersonDay]:
    return [day.evidence for other, worn in sorted(days.items()) if other != source_id for day in worn]
