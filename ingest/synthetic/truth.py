"""The truth about the demo hospital as tables: what happened, and what the contracts make of it.

Belongs here: the truth_*.csv written beside the site, for tests and accuracy scores. Does not belong here: anything
that the product may read. Times are UTC; doses in microsievert, KAP in Gy.cm2, Ka,r in mGy; empty = not known.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np

from ingest.synthetic.badges import FSV_PER_USV, IntArray, usv
from ingest.synthetic.expected import Expected, Share, sum_by
from ingest.synthetic.findings import procedure_findings
from ingest.synthetic.hospital import Participant
from ingest.synthetic.report_files import stated_totals

Row = tuple[object, ...]

HEADERS = {
    "truth_procedure": "study_instance_uid,room_id,procedure_type,accession_number,started_at,ended_at,"
    "modality_started_at,modality_ended_at,procedure_date,n_events,kap_gy_cm2,reported_kap_gy_cm2,kap_fluoro_gy_cm2,"
    "kap_acquisition_gy_cm2,ka_r_mgy,ka_r_plane_a_mgy,ka_r_plane_b_mgy,fluoro_time_s,c_arm_dose_usv,c_arm_true_usv,"
    "expected_present,conditions",
    "truth_event": "irradiation_event_uid,study_instance_uid,room_id,plane,event_type,started_at,modality_started_at,"
    "duration_s,kap_gy_cm2,reported_kap_gy_cm2,ka_r_mgy",
    "truth_operator_procedure": "study_instance_uid,operator_id,role,dosimeter_serial,source_kind,badge_worn,"
    "hp10_true_usv,hp10_samples_usv,n_samples,hp10_below_threshold_usv,hp10_usv,hp10_apportioned_usv,badge_status,"
    "is_decided,is_apportioned_decided,expected_present",
    "truth_operator_event": "study_instance_uid,irradiation_event_uid,operator_id,hp10_samples_usv",
    "truth_clock": "room_id,offset_date,offset_s,n_events,reference_badge_alive",
    "truth_total": "source_id,layout,dosimeter_serial,quantity,measured_date,ingested_usv,covered_by_samples_usv",
    "truth_unlinked": "source_id,dosimeter_serial,started_at,ended_at,hp10_usv,reason,what",
    "truth_file": "path,source_id,kind,expected_status,rows_rejected",
    "truth_alert": "rule,study_instance_uid,operator_id,value,threshold,n_reference,severity,fires,is_borderline",
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
| `truth_event.csv` | irradiation event |
| `truth_operator_procedure.csv` | operator in a study; role empty: not in the logbook; `is_*_decided` 0: left open |
| `truth_operator_event.csv` | operator in an event: dose in exported samples |
| `truth_clock.csv` | room and local date with work: dosimeter clock minus modality clock |
| `truth_total.csv` | source, badge, quantity and local date: dose ingested, exact to the ninth digit |
| `truth_unlinked.csv` | stretch of dose that must stay unlinked (not a complete list) |
| `truth_file.csv` | inbox file with the status expected when all files are first seen in one run |
| `truth_alert.csv` | case of an alert rule that judges single procedures; `is_borderline` 1: within 5 % |
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
    yield "truth_phi", [(text,) for text in sorted({t for p in expected.hospital.procedures for t in p.patient.phi})]
    yield "truth_site", [(1, 1)]


def _procedures(expected: Expected) -> Iterator[Row]:
    for index, p in enumerate(expected.hospital.procedures):
        totals, factor = stated_totals(p.events), p.kap_factor
        span = (_utc(p.started_at), _utc(p.ended_at))  # clocks agree: true time and the modality's time
        yield (
            p.study_uid,
            p.room.room_id,
            p.procedure_class.procedure_type,
            p.accession_number,
            *span,
            *span,
            p.procedure_date,
            len(p.events),
            _plain(totals.kap_gy_cm2 * factor),
            _plain(totals.kap_gy_cm2),
            _plain(totals.kap_fluoro_gy_cm2 * factor),
            _plain(totals.kap_acquisition_gy_cm2 * factor),
            _plain(totals.ka_r_mgy),
            None,
            None,
            _plain(totals.fluoro_time_s),
            _usv(expected.sample_fsv[p.room.c_arm_badge][index]),
            _float(sum(p.c_arm_usv)),
            int(expected.is_present(p)),
            expected.conditions.get(p.number),
        )


def _events(expected: Expected) -> Iterator[Row]:
    for p in filter(expected.is_present, expected.hospital.procedures):
        for e in p.events:
            yield (
                e.uid,
                p.study_uid,
                p.room.room_id,
                "single",
                e.event_type,
                _utc(e.started_at),
                _utc(e.started_at),
                _plain(e.duration_s),
                _plain(e.kap_gy_cm2 * p.kap_factor),
                _plain(e.kap_gy_cm2),
                _plain(e.ka_r_mgy),
            )


def _operator_procedures(expected: Expected) -> Iterator[Row]:
    in_logbook = set()
    for index, procedure in enumerate(expected.hospital.procedures):
        for person in procedure.participants:
            in_logbook.add((index, person.operator_id))
            yield _operator_procedure(expected, index, person)
    for index, operator_id in sorted(expected.shares.keys() - in_logbook):
        yield _operator_procedure(expected, index, Participant(operator_id, "", ()))


def _operator_procedure(expected: Expected, index: int, person: Participant) -> Row:
    procedure = expected.hospital.procedures[index]
    badge = expected.electronic_badge(person.operator_id)
    share = expected.shares.get((index, person.operator_id), Share())
    true_usv = sum(person.event_usv)
    linked = expected.hp10_fsv(index, person.operator_id)
    samples: Row = (None, None, None)
    if badge.kind == "rate":
        sampled = int(expected.sample_fsv[badge.serial][index])
        count = int((expected.readings.samples[badge.serial].procedure == index).sum())
        samples = (_usv(sampled), count, _float(true_usv - float(usv(sampled))))
    apportioned = share.apportioned_fsv
    return (
        procedure.study_uid,
        person.operator_id,
        person.role or None,
        badge.serial,
        badge.kind,
        1,
        _float(true_usv),
        *samples,
        None if linked is None else _usv(linked),
        _float(float(apportioned) / FSV_PER_USV),
        "measured" if linked or apportioned else "zero",
        1,
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
    events: dict[tuple[str, str], int] = defaultdict(int)
    for p in expected.hospital.procedures:
        events[p.room.room_id, p.procedure_date.isoformat()] += len(p.events)
    for (room_id, day), count in sorted(events.items()):
        yield room_id, day, 0, count, 1


def _totals(expected: Expected) -> Iterator[Row]:
    zone = ZoneInfo(expected.hospital.preset.timezone)
    ingested: dict[tuple[str, ...], int] = defaultdict(int)
    covered: dict[tuple[str, ...], int] = defaultdict(int)
    key: tuple[str, ...]
    for source_id, serial, second, dose in _samples_by_source(expected):
        quarters, inverse = np.unique(second // 900, return_inverse=True)  # no zone's midnight lies within one
        for quarter, fsv in zip(quarters.tolist(), sum_by(inverse, dose, len(quarters)).tolist(), strict=True):
            key = (source_id, "rate_samples", serial, "hp10", _date(datetime.fromtimestamp(quarter * 900, UTC), zone))
            ingested[key] += fsv
    for hour in expected.readings.hours:
        key = ("badge_hours", "hourly_totals", hour.serial, "hp10", _date(hour.started_at, zone))
        ingested[key] += hour.dose_usv * FSV_PER_USV
        covered[key] += expected.covered_fsv(hour)
    for session in expected.readings.sessions:
        key = ("staff_sessions", "sessions", session.serial, "hp10", _date(session.started_at, zone))
        ingested[key] += int(session.dose_usv * FSV_PER_USV)
    for period in expected.readings.periods:
        for quantity in ("hp007", "hp10"):
            key = ("passive", "badge_periods", period.serial, quantity, period.end.isoformat())
            ingested[key] += int((period.dose_msv or Decimal(0)) * 1000 * FSV_PER_USV)
    for key in sorted(ingested):
        yield (*key, _usv(ingested[key]), _usv(covered[key]))


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
        span = (_utc(procedure.started_at), _utc(procedure.ended_at))
        for serial, doses in expected.sample_fsv.items():
            if doses[index]:
                yield (procedure.room.rate_source, serial, *span, _usv(doses[index]), *reason)
    for session in expected.readings.sessions:
        if session.dose_usv and not expected.present_in(session):
            span = (_utc(session.started_at), _utc(session.ended_at))
            yield ("staff_sessions", session.serial, *span, _usv(int(session.dose_usv * FSV_PER_USV)), *reason)


def _alerts(expected: Expected) -> Iterator[Row]:
    for f in procedure_findings(expected):
        numbers = (_float(f.value), _float(f.threshold), f.n_reference)
        yield (f.rule, f.study_uid, f.operator_id, *numbers, f.severity, int(f.fires), int(f.is_borderline))


def _date(instant: datetime, zone: ZoneInfo) -> str:
    return instant.astimezone(zone).date().isoformat()


def _utc(instant: datetime) -> str:
    return f"{instant:%Y-%m-%dT%H:%M:%S}.{instant.microsecond // 1000:03d}Z"


def _usv(femtosievert: int) -> str:
    return format(usv(femtosievert), "f")


def _plain(value: Decimal) -> str:
    """Exact, without exponent and trailing zeros."""
    return format(value.normalize(), "f")


def _float(value: float) -> str:
    return format(value, ".10g")
