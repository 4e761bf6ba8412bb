"""The truth about the demo hospital as tables: what happened, and what the contracts make of it.

Belongs here: the truth_*.csv written beside the site, for tests and accuracy scores. Does not belong here: anything
that the product may read. Times are UTC; doses in microsievert, KAP in Gy.cm2, Ka,r in mGy; empty = not known.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np

from synthetic_hospital.badges import FSV_PER_USV, IntArray, usv
from synthetic_hospital.expected import Expected, Share, sum_by
from synthetic_hospital.findings import procedure_findings
from synthetic_hospital.follow_up import draw_follow_ups
from synthetic_hospital.hospital import AT_TABLE_SIDE, BEAM_SLOPES, Event, Participant, Procedure
from synthetic_hospital.report_files import DIALECTS, reports_of, stated_geometry

Row = tuple[object, ...]

# Column of truth_event by the concept that a dose report states; empty: this maker does not state it.
GEOMETRY = {
    "source_to_isocenter": "source_to_isocenter_mm",
    "source_to_reference_point": "source_to_reference_point_mm",
    "source_to_detector": "source_to_detector_mm",
    "table_longitudinal": "table_longitudinal_mm",
    "table_lateral": "table_lateral_mm",
    "table_height": "table_height_mm",
    "field_area": "field_area_m2",
}

HEADERS = {
    "truth_procedure": "study_instance_uid,room_id,procedure_type,accession_number,started_at,ended_at,"
    "modality_started_at,modality_ended_at,procedure_date,n_events,kap_gy_cm2,reported_kap_gy_cm2,kap_fluoro_gy_cm2,"
    "kap_acquisition_gy_cm2,ka_r_mgy,ka_r_plane_a_mgy,ka_r_plane_b_mgy,fluoro_time_s,c_arm_dose_usv,c_arm_true_usv,"
    "expected_present,conditions,patient_age_years",
    "truth_event": "irradiation_event_uid,study_instance_uid,room_id,plane,event_type,started_at,modality_started_at,"
    "duration_s,kap_gy_cm2,reported_kap_gy_cm2,ka_r_mgy,primary_angle_deg,secondary_angle_deg,beam_factor,"
    f"{','.join(GEOMETRY.values())}",
    "truth_operator_procedure": "study_instance_uid,operator_id,role,dosimeter_serial,source_kind,badge_worn,"
    "hp10_true_usv,hp10_samples_usv,n_samples,hp10_below_threshold_usv,hp10_usv,hp10_apportioned_usv,badge_status,"
    "is_decided,is_apportioned_decided,expected_present",
    "truth_operator_event": "study_instance_uid,irradiation_event_uid,operator_id,hp10_samples_usv",
    "truth_clock": "room_id,offset_date,offset_s,n_events,reference_badge_alive",
    "truth_total": "source_id,layout,dosimeter_serial,quantity,measured_date,ingested_usv,covered_by_samples_usv",
    "truth_unlinked": "source_id,dosimeter_serial,started_at,ended_at,hp10_usv,reason,what",
    "truth_file": "path,source_id,kind,expected_status,rows_rejected",
    "truth_alert": "rule,study_instance_uid,operator_id,value,threshold,n_reference,severity,fires,is_borderline",
    "truth_beam_effect": "angle,log_dose_per_sine,roles",
    "truth_follow_up": "study_instance_uid,informed_on,seen_on,skin_grade",
    "truth_phi": "string",
    "truth_site": "hubs_named,c_arm_badges",
}

README = """\
# Truth of this synthetic hospital

What happened at the site in the folder of the same name without `_truth`, and what DoseLedger's contracts make of it.
The product never reads this folder; tests and `doseledger score` compare with it. Times are UTC, doses in microsievert,
KAP in Gy.cm2, Ka,r in mGy; empty = not known or not applicable; alternatives are separated by `|`.

| file | one row |
|---|---|
| `truth_procedure.csv` | study; `kap_*` calibrated, `reported_kap_gy_cm2` as stated; `expected_present` 0: no report |
| `truth_event.csv` | irradiation event; `beam_factor`: dose at the table side for the same radiation |
| `truth_operator_procedure.csv` | operator in a study; role empty: not in the logbook; `is_*_decided` 0: left open |
| `truth_operator_event.csv` | operator in an event: dose in exported samples |
| `truth_clock.csv` | room and local date with work: dosimeter clock minus modality clock |
| `truth_total.csv` | source, badge, quantity and local date: dose ingested, exact to the ninth digit |
| `truth_unlinked.csv` | interval of dose that must stay unlinked (not a complete list) |
| `truth_file.csv` | inbox file with the status expected when all files are first seen in one run |
| `truth_alert.csv` | case of an alert rule that judges single procedures; `is_borderline` 1: within 5 % |
| `truth_beam_effect.csv` | angle; logarithm of the dose at the table side per sine of it, for the same radiation |
| `truth_follow_up.csv` | study after which a patient was informed, or the skin seen |
| `truth_phi.csv` | patient name or ID that nothing published may contain |
| `truth_site.csv` | the site |
"""


def truth_tables(expected: Expected, files: list[Row]) -> Iterator[tuple[str, Iterable[Row]]]:
    """Name and rows of every table, columns as in ``HEADERS``; ``files`` are the rows of truth_file."""
    yield "truth_procedure", _procedures(expected)
    yield "truth_event", _events(expected)
    yield "truth_operator_procedure", _operator_procedures(expected)
    yield "truth_operator_event", _operator_events(expected)
    yield "truth_clock", _clocks(expected)
    yield "truth_total", _totals(expected)
    yield "truth_unlinked", _unlinked(expected)
    yield "truth_file", sorted(files, key=lambda row: str(row[0]).encode())
    yield "truth_alert", _alerts(expected)
    yield "truth_beam_effect", _beam_effects()
    yield (
        "truth_follow_up",
        [
            (row.procedure.study_uid, row.informed_on, row.seen_on, row.skin_grade)
            for row in draw_follow_ups(expected.hospital)
        ],
    )
    yield "truth_phi", [(text,) for text in sorted(_phi(expected))]
    yield "truth_site", [(int(expected.hospital.preset.names_hubs), 1)]


def _phi(expected: Expected) -> set[str]:
    procedures = expected.hospital.procedures
    patients = {p.patient for p in procedures}
    patients |= {r.patient for p in procedures for r in reports_of(p, expected.conditions.get(p.number))}
    return {text for patient in patients for text in patient.phi}


def _procedures(expected: Expected) -> Iterator[Row]:
    for index, p in enumerate(expected.hospital.procedures):
        planes, factor = expected.totals[index], p.kap_factor
        totals = list(planes.values())
        reported_kap = sum((t.kap_gy_cm2 for t in totals), Decimal(0))
        yield (
            p.study_uid,
            p.room.room_id,
            p.procedure_class.procedure_type,
            p.accession_number,
            _utc(p.started_at),
            _utc(p.ended_at),
            _utc(p.started_at + p.modality_shift),
            _utc(p.ended_at + p.modality_shift),
            p.procedure_date,
            len(p.events),
            _plain(reported_kap * factor),
            _plain(reported_kap),
            _plain(sum((t.kap_fluoro_gy_cm2 for t in totals), Decimal(0)) * factor),
            _plain(sum((t.kap_acquisition_gy_cm2 for t in totals), Decimal(0)) * factor),
            _plain(max(t.ka_r_mgy for t in totals)),
            *(_plain(planes[plane].ka_r_mgy) if plane in planes else None for plane in ("A", "B")),
            _plain(sum((t.fluoro_time_s for t in totals), Decimal(0))),
            _c_arm_usv(expected, index),
            _float(sum(p.c_arm_usv)),
            int(expected.is_present(p)),
            expected.conditions.get(p.number),
            p.patient.age_on(p.procedure_date),
        )


def _c_arm_usv(expected: Expected, index: int) -> str | None:
    if not expected.has_c_arm_badge(index):
        return None
    return _usv(expected.sample_fsv[expected.hospital.procedures[index].room.c_arm_badge][index])


def _events(expected: Expected) -> Iterator[Row]:
    for p in filter(expected.is_present, expected.hospital.procedures):
        for e in p.events:
            yield (
                e.uid,
                p.study_uid,
                p.room.room_id,
                e.plane,
                e.event_type,
                _utc(e.started_at),
                _utc(e.started_at + p.modality_shift),
                _plain(e.duration_s),
                _plain(e.kap_gy_cm2 * p.kap_factor),
                _plain(e.kap_gy_cm2),
                _plain(e.ka_r_mgy),
                e.primary_angle_deg,
                e.secondary_angle_deg,
                _float(e.beam_factor),
                *_geometry(p, e),
            )


def _geometry(procedure: Procedure, event: Event) -> Iterator[str | None]:
    stated = {concept: value for concept, value, _ in stated_geometry(DIALECTS[procedure.room.dialect], event)}
    for concept in GEOMETRY:
        yield _plain(stated[concept]) if concept in stated else None


def _operator_procedures(expected: Expected) -> Iterator[Row]:
    in_logbook = set()
    for index, procedure in enumerate(expected.hospital.procedures):
        for person in procedure.participants:
            in_logbook.add((index, person.operator_id))
            yield _operator_procedure(expected, index, person)
    others = {key for key, share in expected.shares.items() if share.linked_fsv or share.apportioned_fsv} - in_logbook
    for index, operator_id in sorted(others):
        yield _operator_procedure(expected, index, Participant(operator_id, "", ()))


def _operator_procedure(expected: Expected, index: int, person: Participant) -> Row:
    procedure = expected.hospital.procedures[index]
    wearing = expected.readings.wearing
    badge = expected.electronic_badge(person.operator_id)
    share = expected.shares.get((index, person.operator_id), Share())
    linked = expected.hp10_fsv(index, person.operator_id)
    statuses = expected.statuses(index, person.operator_id)
    is_swapped = (procedure.number, person.operator_id) in wearing.swapped
    exposed_usv = sum(wearing.doses_at(procedure, badge) or ())
    samples: Row = (None, None, None)
    if badge.kind == "rate":
        sampled = int(expected.sample_fsv[badge.serial][index])
        below = exposed_usv - float(usv(sampled))
        samples = (_usv(sampled), int(expected.n_samples[badge.serial][index]), _float(max(below, 0.0)))
    # Dose of samples is what it is; a session, or a row without any, may hang on the clocks.
    is_sampled = badge.kind == "rate" and expected.linked_fsv(index, person.operator_id) > 0
    is_decided = len(statuses) == 1 and (is_sampled or share.is_decided)
    return (
        procedure.study_uid,
        person.operator_id,
        person.role or None,
        badge.serial,
        badge.kind,
        int(wearing.is_on_owner(procedure, person.operator_id)),
        None if is_swapped else _float(sum(person.event_usv)),
        *samples,
        None if linked is None else _usv(linked),
        _float(float(share.apportioned_fsv) / FSV_PER_USV),
        "|".join(statuses),
        int(is_decided),
        int(share.is_decided),
        int(expected.is_present(procedure)),
    )


def _operator_events(expected: Expected) -> Iterator[Row]:
    procedures = expected.hospital.procedures
    for serial, samples in expected.readings.samples.items():
        operator_id = expected.badges[serial].operator_id
        if operator_id is None:
            continue
        pairs, inverse = np.unique(np.stack([samples.procedure, samples.event]), axis=1, return_inverse=True)
        doses = sum_by(inverse.ravel(), samples.dose_fsv, pairs.shape[1])
        for index, event, dose in zip(*pairs.tolist(), doses.tolist(), strict=True):
            if expected.is_present(procedures[index]):
                yield procedures[index].study_uid, procedures[index].events[event].uid, operator_id, _usv(dose)


def _clocks(expected: Expected) -> Iterator[Row]:
    """Offsets at local noon, of room-days with work, with or without a report."""
    hospital = expected.hospital
    of_day: dict[tuple[str, date], list[Procedure]] = defaultdict(list)
    for p in hospital.procedures:
        of_day[p.room.room_id, p.procedure_date].append(p)
    for (room_id, day), procedures in sorted(of_day.items()):
        noon = (hospital.preset.midnight(day) + timedelta(hours=12)).astimezone(UTC)
        clock = hospital.clocks[room_id]
        offset = clock.badge_shift(noon) - clock.modality_shift(noon)
        n_events = sum(len(p.events) for p in procedures)
        is_alive = expected.readings.wearing.is_alive(room_id, day)
        yield room_id, day, _float(offset.total_seconds()), n_events, int(is_alive)


TotalKey = tuple[str, str, str, str, str]  # source, layout, badge, quantity, local date


def _totals(expected: Expected) -> Iterator[Row]:
    ingested: dict[TotalKey, int] = defaultdict(int)
    covered: dict[TotalKey, int] = defaultdict(int)
    for key, dose_fsv, covered_fsv in _ingested(expected):
        ingested[key] += dose_fsv
        covered[key] += covered_fsv
    for key in sorted(ingested):
        yield (*key, _usv(ingested[key]), _usv(covered[key]))


def _ingested(expected: Expected) -> Iterator[tuple[TotalKey, int, int]]:
    """Every dose that counts, with the part of it that samples cover."""
    preset = expected.hospital.preset
    zone = ZoneInfo(preset.timezone)
    for source_id, serial, second, dose in _samples_by_source(expected):
        quarters, inverse = np.unique(second // 900, return_inverse=True)  # no zone's midnight lies within one
        for quarter, fsv in zip(quarters.tolist(), sum_by(inverse, dose, len(quarters)).tolist(), strict=True):
            day = _date(datetime.fromtimestamp(quarter * 900, UTC), zone)
            yield (source_id, "rate_samples", serial, "hp10", day), fsv, 0
    for hour in expected.readings.hours:
        key = (hour.source_id, "hourly_totals", hour.serial, "hp10", _date(hour.started_at, zone))
        yield key, hour.dose_usv * FSV_PER_USV, expected.covered_fsv(hour)
    for badge in expected.badges.values():
        if badge.hours_source == "counter_hours":  # read out every hour, so there is a record of every day
            for day in map(date.isoformat, preset.days()):
                yield ("counter_hours", "hourly_totals", badge.serial, "hp10", day), 0, 0
    for session in expected.readings.sessions:
        key = ("staff_sessions", "sessions", session.serial, "hp10", _date(session.started_at, zone))
        yield key, int(session.dose_usv * FSV_PER_USV), 0
    for period in expected.readings.periods:
        for quantity in ("hp007", "hp10"):
            key = ("passive", "badge_periods", period.serial, quantity, period.end.isoformat())
            yield key, int((period.dose_msv or Decimal(0)) * 1000 * FSV_PER_USV), 0


def _samples_by_source(expected: Expected) -> Iterator[tuple[str, str, IntArray, IntArray]]:
    source_of = np.array([p.room.rate_source for p in expected.hospital.procedures])
    for serial, samples in expected.readings.samples.items():
        source = source_of[samples.procedure]
        for source_id in np.unique(source):
            chosen = source == source_id
            yield str(source_id), serial, samples.second[chosen], samples.dose_fsv[chosen]


def _unlinked(expected: Expected) -> Iterator[Row]:
    """Samples and sessions of studies without a report; hourly residuals of those hours are not in this list."""
    reason = ("no_procedure", "study without report")
    for index, procedure in enumerate(expected.hospital.procedures):
        if expected.is_present(procedure):
            continue
        shift = procedure.badge_shift
        span = (_utc(procedure.started_at + shift), _utc(procedure.ended_at + shift))
        for serial, doses in expected.sample_fsv.items():
            if doses[index]:
                yield (procedure.room.rate_source, serial, *span, _usv(doses[index]), *reason)
    for session in expected.readings.sessions:
        if session.dose_usv and expected.is_surely_nowhere(session):
            span = (_utc(session.started_at), _utc(session.ended_at))
            yield ("staff_sessions", session.serial, *span, _usv(int(session.dose_usv * FSV_PER_USV)), *reason)


def _alerts(expected: Expected) -> Iterator[Row]:
    for f in procedure_findings(expected):
        numbers = (_float(f.value), _float(f.threshold), f.n_reference)
        yield (f.rule, f.study_uid, f.operator_id, *numbers, f.severity, int(f.fires), int(f.is_borderline))


def _date(instant: datetime, zone: ZoneInfo) -> str:
    return instant.astimezone(zone).date().isoformat()


def _beam_effects() -> Iterator[Row]:
    """The slopes that the hospital was drawn with, and the roles that they hold for."""
    for angle, slope in zip(("primary", "secondary"), BEAM_SLOPES, strict=True):
        yield angle, slope, "|".join(sorted(AT_TABLE_SIDE))


def _utc(instant: datetime) -> str:
    return f"{instant:%Y-%m-%dT%H:%M:%S}.{instant.microsecond // 1000:03d}Z"


def _usv(femtosievert: int) -> str:
    return format(usv(femtosievert), "f")


def _plain(value: Decimal) -> str:
    """Exact, without exponent and trailing zeros."""
    return format(value.normalize(), "f")


def _float(value: float) -> str:
    return format(value, ".10g")
