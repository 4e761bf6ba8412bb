"""Patients, reference levels and room findings computed again from the published facts, in plain Python and numpy.

Written from the output contract and the sources of the seeds, not from the models; it reads the published file only.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import numpy as np
from dateutil.relativedelta import relativedelta

Row = dict[str, Any]
YEARS = {"1_year": 1, "3_years": 3, "5_years": 5, "all": 200}
ADULT = 18
# mSv/(Gy.cm2) of adults: by copper filter (Vano 2018, upper end of the filter in mm), else by class or region.
K_OF_COPPER = {0.05: "0.16", 0.25: "0.27", 0.65: "0.34", 1.15: "0.40"}
K_OF_CLASS = {"coronary_angiography": "0.30", "pci": "0.33"}
K_OF_SPECIALTY = {"cardiology": "0.20", "neuroradiology": "0.087"}
K_OF_BODY_REGION = {
    "head": "0.087",
    "neck": "0.087",
    "chest": "0.20",
    "abdomen": "0.26",
    "pelvis": "0.26",
    "spine": "0.26",
    "lower_limb": "0.26",
}
# Other embolisations have no region: the abdomen's value is the stated fallback.
ABDOMINAL = {"biliary_drainage", "tips", "tace", "nephrostomy", "evar", "peripheral_angioplasty", "embolisation_other"}
CEREBRAL = {"cerebral_angiography", "thrombectomy_stroke"}
SKIN_STEPS = (  # the gravest first: step, column, threshold
    ("ka_r", "ka_r_mgy", 5000),
    ("kap", "kap_gy_cm2", 500),
    ("ka_r_notice", "ka_r_mgy", 3000),
    ("fluoro_time", "fluoro_time_s", 3600),
)
YEAR_STEP = ("ka_r_year", "ka_r_mgy", 15000)
SKIN_COLUMNS = ("ka_r_mgy", "kap_gy_cm2", "fluoro_time_s")  # the first that is known counts
CAP_DEG = 25
LEVEL_QUANTITIES = {"kap_gy_cm2": "kap", "ka_r_mgy": "ka_r", "fluoro_time_s": "fluoro_time"}


# Every procedure with what the rules about patients judge it by.
PROCEDURES = """
    select fct_procedure.*, dim_procedure_type.specialty as class_specialty, dim_procedure_class.body_region
    from marts.fct_procedure
    left join marts.dim_procedure_type using (procedure_type)
    left join marts.dim_procedure_class on fct_procedure.procedure_type = dim_procedure_class.procedure_class
"""


def rows(con: duckdb.DuckDBPyConnection, query: str) -> list[Row]:
    """Rows of a query as dictionaries."""
    result = con.execute(query)
    names = [column[0] for column in result.description or []]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def effective_dose(procedure: Row, events: list[Row]) -> Decimal | None:
    """Estimate of one procedure, mSv; of the heart by the copper filter where every event tells it."""
    kap, age, kind = procedure["kap_gy_cm2"], procedure["patient_age_years"], procedure["procedure_type"]
    if kap is None or age is None or age < ADULT:
        return None
    if kind in ABDOMINAL:
        k = "0.26"
    elif kind in CEREBRAL:
        k = "0.087"
    elif (kind in K_OF_CLASS or procedure["class_specialty"] == "cardiology") and _mean_k_of_copper(events):
        return Decimal(str(kap)) * _mean_k_of_copper(events)
    else:
        k = (
            K_OF_CLASS.get(kind)
            or K_OF_SPECIALTY.get(procedure["class_specialty"] or "")
            or K_OF_BODY_REGION.get(procedure["body_region"] or "")
            or ""
        )
    return Decimal(str(kap)) * Decimal(k) if k else None


def _mean_k_of_copper(events: list[Row]) -> Decimal:
    """Mean coefficient of the events, each with its KAP; 0 if an event does not tell its filter or KAP."""
    told = [(event["kap_gy_cm2"], event["copper_filter_mm"]) for event in events]
    if not told or any(None in pair or pair[1] >= max(K_OF_COPPER) for pair in told):
        return Decimal(0)
    doses = [Decimal(str(kap)) for kap, _ in told]
    factors = [Decimal(next(k for upper, k in K_OF_COPPER.items() if copper < upper)) for _, copper in told]
    return sum((k * dose for k, dose in zip(factors, doses, strict=True)), Decimal(0)) / sum(doses)


def exposures(studies: list[Row], as_of: date) -> dict[tuple[str, str], tuple[int, int, float | None, float | None]]:
    """By patient and window: studies, those without estimate, sum and peak, mSv."""
    of_patient: defaultdict[str, list[Row]] = defaultdict(list)
    for study in studies:
        if study["patient_key"]:
            of_patient[study["patient_key"]].append(study)
    found = {}
    for patient, own in of_patient.items():
        for window, years in YEARS.items():
            inside = _inside(own, as_of, years)
            peak = [_sum(_inside(own, study["study_date"], years)) for study in own]
            known = [value for value in (*peak, _sum(inside)) if value is not None]
            without = sum(study["effective_dose_estimate_msv"] is None for study in inside)
            found[patient, window] = (len(inside), without, _sum(inside), max(known, default=None))
    return found


def _inside(studies: list[Row], end: date, years: int) -> list[Row]:
    begin = end - relativedelta(years=years) + timedelta(days=1)
    return [study for study in studies if begin <= study["study_date"] <= end]


def _sum(studies: list[Row]) -> float | None:
    known = [
        study["effective_dose_estimate_msv"] for study in studies if study["effective_dose_estimate_msv"] is not None
    ]
    return float(sum(known)) if known or not studies else None


def typical_values(procedures: list[Row], as_of: date) -> dict[tuple[str | None, str, str], tuple[float, ...]]:
    """By room (None: site), class and quantity: n, first quartile, median, third quartile of adults' procedures."""
    values: defaultdict[tuple[str | None, str, str], list[float]] = defaultdict(list)
    for procedure in procedures:
        recent = as_of - timedelta(days=364) <= procedure["procedure_date"] <= as_of
        adult = procedure["patient_age_years"] is None or procedure["patient_age_years"] >= ADULT
        if not recent or not adult or procedure["procedure_type"] == "unclassified":
            continue
        for column, quantity in LEVEL_QUANTITIES.items():
            if procedure[column] is not None:
                for room in (procedure["room_id"], None):
                    values[room, procedure["procedure_type"], quantity].append(procedure[column])
    return {
        key: (len(found), *(float(np.quantile(found, share)) for share in (0.25, 0.5, 0.75)))
        for key, found in values.items()
    }


def skin_findings(procedures: list[Row]) -> set[tuple[str, str]]:
    """Procedure and step of every finding about the skin, alone or as a sum within a body region."""
    ordered = sorted(procedures, key=lambda row: (row["started_at"], row["procedure_id"]))
    found = set()
    for number, procedure in enumerate(ordered):
        name = procedure["procedure_id"]
        alone = [step for step, column, threshold in SKIN_STEPS if _reaches(_own(procedure, column), threshold)]
        found |= {(name, step) for step in alone[:1]}
        sums = _sums(procedure, ordered[:number], 60)
        of_days = [step for step in SKIN_STEPS if any(_sum_fires(members, procedure, step) for members in sums)]
        found |= {(name, f"{step}_of_days") for step, _, _ in of_days[:1]}
        years = _sums(procedure, ordered[:number], 365)
        is_alone = _reaches(_own(procedure, "ka_r_mgy"), YEAR_STEP[2])
        if is_alone or any(_sum_fires(members, procedure, YEAR_STEP) for members in years):
            found.add((name, YEAR_STEP[0]))
    return found


def _own(procedure: Row, column: str) -> float | None:
    """The value of the column if it is the one that counts: no better one is known."""
    known = next((name for name in SKIN_COLUMNS if procedure[name] is not None), None)
    return procedure[column] if known == column else None


def _reaches(dose: float | None, threshold: float) -> bool:
    return dose is not None and dose >= threshold


def _sums(procedure: Row, earlier: list[Row], days: int) -> list[list[Row]]:
    """The procedures of each sum to which a procedure adds: one, or one for each region of the patient."""
    own = [
        row
        for row in earlier
        if procedure["patient_key"] is not None
        and row["patient_key"] == procedure["patient_key"]
        and (procedure["procedure_date"] - row["procedure_date"]).days < days
    ]
    regions = {procedure["body_region"]} if procedure["body_region"] else {row["body_region"] for row in own} | {None}
    return [
        [*(row for row in own if row["body_region"] in (region, None)), procedure]
        for region in sorted(regions, key=str)
        if any(row["body_region"] in (region, None) for row in own)
    ]


def _sum_fires(members: list[Row], procedure: Row, step: tuple[str, str, int]) -> bool:
    _, column, threshold = step
    values = [_own(row, column) for row in members]
    if column == "fluoro_time_s" and any(
        row["ka_r_mgy"] is not None or row["kap_gy_cm2"] is not None for row in members
    ):
        return False  # one that states none of the three speaks neither for nor against the time of the others
    total = sum(value for value in values if value is not None)
    adds = (_own(procedure, column) or 0) > 0
    return adds and total >= threshold and not any(_reaches(value, threshold) for value in values)


def skin_doses(events: list[Row]) -> dict[str, tuple[float, int, float, float]]:
    """By procedure: peak Ka,r, events in the cap, estimate and upper value, mGy, of a patient head first and supine."""
    of_procedure: defaultdict[str, list[Row]] = defaultdict(list)
    for event in events:
        if event["procedure_id"] is not None and event["ka_r_mgy"] is not None:
            of_procedure[event["procedure_id"]].append(event)
    found = {}
    for name, own in of_procedure.items():
        placed = [row for row in own if row["primary_angle_deg"] is not None and row["secondary_angle_deg"] is not None]
        if not placed:
            continue
        caps = []
        for centre in placed:
            inside = [row for row in placed if _angle_between(centre, row) <= CAP_DEG + 1e-6]
            peak = sum(row["ka_r_mgy"] for row in inside)
            table = 0.75 if abs(centre["primary_angle_deg"]) <= 60 else 1.0
            caps.append((peak, len(inside), peak * 1.06 * 1.3 * table))
        highest = max(peak for peak, _, _ in caps)
        upper = sum(row["ka_r_mgy"] for row in own) * 1.06 * 1.3
        # Of equal peaks any may be the one.
        best = [cap for cap in caps if cap[0] >= highest * (1 - 1e-12)]
        found[name] = (highest, best[0][1], best[0][2], upper)
    return found


def _angle_between(one: Row, other: Row) -> float:
    """Angle between two beams, degrees, as that between two unit vectors."""
    first, second = (_direction(row) for row in (one, other))
    return float(np.degrees(np.arctan2(np.linalg.norm(np.cross(first, second)), np.dot(first, second))))


def _direction(row: Row) -> np.ndarray[Any, Any]:
    primary, secondary = (np.radians(row[f"{name}_angle_deg"]) for name in ("primary", "secondary"))
    return np.array([np.sin(primary) * np.cos(secondary), np.sin(secondary), np.cos(primary) * np.cos(secondary)])


def followup_states(
    steps: list[Row], as_of: date, register: dict[str, tuple[date | None, date | None, date | None]] | None = None
) -> dict[str, str]:
    """By procedure with a skin finding, or in the register: what is done for the patient.

    Args:
        steps: findings about the skin.
        as_of: valid-time date.
        register: by procedure when the patient was informed, the skin seen, and seen again.
    """
    known = register or {}
    found = dict.fromkeys(known, "not_needed")
    for name in {step["procedure_id"] for step in steps}:
        own = [step for step in steps if step["procedure_id"] == name]
        day = own[0]["occurred_on"]
        informed, seen, again = known.get(name, (None, None, None))
        is_urgent = any(step["severity"] == "urgent" for step in own)
        is_twice = any(step["quantity"] == "ka_r" and step["value"] >= 10000 for step in own)
        if is_urgent and seen is None:
            late = (as_of - day).days > 28
            found[name] = "overdue" if late else "informed" if informed else "open"
        elif is_urgent and is_twice and again is None:
            late = as_of > day + relativedelta(months=12)
            found[name] = "overdue" if late else "open" if as_of >= day + relativedelta(months=6) else "seen"
        elif not is_urgent and informed is None:
            found[name] = "overdue" if (as_of - day).days > 14 else "open"
        else:
            found[name] = "seen" if seen else "informed"
    return found


def totals_gaps(procedures: list[Row]) -> set[str]:
    """Procedures whose accumulated KAP and event sum are apart by more than 2 % and 0.05 Gy.cm2."""
    found = set()
    for row in procedures:
        total, events = row["kap_gy_cm2"], row["kap_event_sum_gy_cm2"]
        if row["kap_source"] == "accumulated" and events is not None:
            gap = abs(total - events)
            if gap > 0.02 * total and gap > 0.05:
                found.add(row["procedure_id"])
    return found


def clock_steps(offsets: list[Row]) -> set[tuple[str, date]]:
    """Room and day of a step of more than 5 s between estimates; ordinary drift (2.5 s a day) is none."""
    found: set[tuple[str, date]] = set()
    last: dict[Any, Any] = {}
    for row in sorted(offsets, key=lambda row: (row["room_id"], row["offset_date"])):
        if row["method"] != "cross_correlation":
            continue
        known = last.get(row["room_id"])
        if known:
            drift = 2.5 * (row["offset_date"] - known["offset_date"]).days
            if abs(row["offset_s"] - known["offset_s"]) > max(5.0, drift):
                found.add((row["room_id"], row["offset_date"]))
        last[row["room_id"]] = row
    return found


def c_arm_drifts(procedures: list[Row]) -> set[tuple[str, date]]:
    """Room and day on which the median of the last 20 procedures leaves 25 % about that of the 60 days before them."""
    found = set()
    for room in {row["room_id"] for row in procedures} - {"unknown"}:
        judged = [
            row
            for row in sorted(procedures, key=lambda row: (row["procedure_date"], row["started_at"]))
            if row["room_id"] == room and (row["kap_gy_cm2"] or 0) >= 1 and row["c_arm_dose_usv"] is not None
        ]
        off = [_is_off(judged, number) for number in range(len(judged))]
        found |= {
            (room, row["procedure_date"])
            for number, row in enumerate(judged)
            if off[number] and not (number and off[number - 1])
        }
    return found


def _is_off(judged: list[Row], number: int) -> bool:
    last = judged[max(0, number - 19) : number + 1]
    first_day = last[0]["procedure_date"]
    before = [row for row in judged if 1 <= (first_day - row["procedure_date"]).days <= 60]
    if len(last) < 20 or len(before) < 20:
        return False
    recent, earlier = (float(np.median([_ratio(row) for row in part])) for part in (last, before))
    return earlier > 0 and abs(recent / earlier - 1) > 0.25


def _ratio(row: Row) -> float:
    return float(row["c_arm_dose_usv"] / row["kap_gy_cm2"])


def unknown_clock_spells(offsets: list[Row]) -> Iterator[tuple[str, date]]:
    """Room and first day of each run of days without a known clock."""
    before: dict[str, str] = {}
    for row in sorted(offsets, key=lambda row: (row["room_id"], row["offset_date"])):
        if row["method"] == "none" and before.get(row["room_id"]) != "none":
            yield row["room_id"], row["offset_date"]
        before[row["room_id"]] = row["method"]
