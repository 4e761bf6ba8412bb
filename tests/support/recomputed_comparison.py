"""Comparison within the class once more, from published rows: role groups, findings, causes and protection.

Shares no code and no SQL with the product: plain Python, numpy and scipy on rows of fct_operator_procedure joined to
fct_procedure. Numbers are those of the contract, written out here.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import date, timedelta
from functools import cached_property
from typing import Any

import duckdb
import numpy as np
from scipy import stats

Row = dict[str, Any]
Key = tuple[Any, ...]

YEAR = timedelta(days=365)
DAY = timedelta(days=1)
OPERATING = ("first_operator", "second_operator", "supervisor")
ASSISTING = ("second_operator", "supervisor")
OPERATORS = ("first_operator", "assisting")


def role_groups(rows: Sequence[Row], grades: dict[str, str | None]) -> dict[Key, str]:
    """(procedure, operator) -> role group, by role, else by grade, else by who else was there."""
    with_operator = {row["procedure_id"] for row in rows if row["role"] in OPERATING}
    groups = {}
    for row in rows:
        role, grade = row["role"], grades.get(row["operator_id"])
        if role:
            group = "assisting" if role in ASSISTING else role
        elif grade in ("nurse", "technologist"):
            group = grade
        else:
            group = "assisting" if row["procedure_id"] in with_operator else "first_operator"
        groups[row["procedure_id"], row["operator_id"]] = group
    return groups


def is_child(row: Row) -> bool:
    """Whether the patient is known to be younger than 18."""
    age = row["patient_age_years"]
    return age is not None and age < 18


class Window:
    """Rows of one reference set in order of date, for the 365 days before a date."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self.rows = sorted(rows, key=lambda row: row["procedure_date"])
        self.dates = [row["procedure_date"] for row in self.rows]

    def before(self, day: date) -> list[Row]:
        """Rows of [day - 365, day - 1]."""
        return self.rows[bisect_left(self.dates, day - YEAR) : bisect_left(self.dates, day)]


def windows(rows: Iterable[Row], key: Callable[[Row], Key]) -> dict[Key, Window]:
    grouped: dict[Key, list[Row]] = defaultdict(list)
    for row in rows:
        grouped[key(row)].append(row)
    return {name: Window(of_name) for name, of_name in grouped.items()}


def class_and_group(row: Row) -> Key:
    return row["procedure_type"], row["role_group"]


NOTHING = Window([])


class Comparison:
    """What a publication must say of comparisons within the class.

    Args:
        rows: operators in procedures, with the columns of their procedure.
        as_of: valid-time date.
        moved: rooms whose C-arm badge was moved, with the days from and to which its share tells nothing of people.
    """

    def __init__(self, rows: Sequence[Row], as_of: date, moved: Sequence[tuple[str, date, date]] = ()) -> None:
        self.as_of = as_of
        self.moved = moved
        self.rows = rows
        self.adults = [row for row in rows if not is_child(row)]
        self.judged = sorted(
            (row for row in self.adults if row["hp10_usv"] is not None),
            key=lambda row: (row["started_at"], row["procedure_id"], row["operator_id"]),
        )
        self.references = windows(
            (row for row in self.judged if row["procedure_type"] != "unclassified"), class_and_group
        )

    def reference(self, row: Row) -> list[Row]:
        """Rows that a row is compared with."""
        return self.references.get(class_and_group(row), NOTHING).before(row["procedure_date"])

    # --- findings of a procedure -----------------------------------------------------------------------------------

    @cached_property
    def findings(self) -> dict[Key, Row]:
        """(rule, procedure, operator) -> value, threshold, third quartile, floor, what decided, n."""
        found = {}
        for row in self.judged:
            for rule, finding in (
                ("procedure_dose", self._procedure_dose(row)),
                ("dose_per_kap", self._dose_per_kap(row)),
                ("dose_to_c_arm", self._dose_to_c_arm(row)),
            ):
                if finding:
                    of_row = {"role_group": row["role_group"], "main_cause": self._cause(row)}
                    found[rule, row["procedure_id"], row["operator_id"]] = finding | of_row
        return found

    def _cause(self, row: Row) -> str | None:
        return self.explanations.get((row["procedure_id"], row["operator_id"]), {}).get("main_cause")

    def _procedure_dose(self, row: Row) -> Row | None:
        floor = 20.0 if row["role_group"] in OPERATORS else 5.0
        return self._above(row["hp10_usv"], floor, [other["hp10_usv"] for other in self.reference(row)])

    def _dose_per_kap(self, row: Row) -> Row | None:
        column = "hp10_per_kap_usv_per_gy_cm2"
        if row["kap_gy_cm2"] is None or row["kap_gy_cm2"] < 1:
            return None
        floor = 1.0 if row["role_group"] in OPERATORS else 0.3
        return self._above(
            row[column], floor, [other[column] for other in self.reference(row) if other[column] is not None]
        )

    @staticmethod
    def _above(value: float, floor: float, values: list[float]) -> Row | None:
        if len(values) < 20:
            return None
        quartile = float(np.quantile(values, 0.75))
        if value <= max(quartile, floor):
            return None
        return {
            "value": value,
            "threshold": max(quartile, floor),
            "third_quartile": quartile,
            "floor": floor,
            "decided_by": "third_quartile" if quartile > floor else "floor",
            "n_reference": len(values),
        }

    def _dose_to_c_arm(self, row: Row) -> Row | None:
        percent, c_arm = row["hp10_to_c_arm_percent"], row["c_arm_dose_usv"]
        if c_arm is None or c_arm < 20 or row["hp10_usv"] < 20:
            return None
        values = [
            other["hp10_to_c_arm_percent"] for other in self.reference(row) if (other["c_arm_dose_usv"] or 0) >= 20
        ]
        quartile = float(np.quantile(values, 0.75)) if len(values) >= 20 else None
        threshold = 10.0 if quartile is None else max(10.0, min(30.0, quartile))
        if percent <= threshold:
            return None
        return {
            "value": percent,
            "threshold": threshold,
            "third_quartile": quartile,
            "floor": 10.0,
            "decided_by": {10.0: "floor", quartile: "third_quartile"}.get(threshold, "cap"),
            "n_reference": len(values) if quartile is not None else None,
        }

    # --- findings again and again ----------------------------------------------------------------------------------

    @cached_property
    def persistent(self) -> dict[Key, Row]:
        """(procedure, operator) at which the rule fires -> k, n, how many are usual, the smallest k that fires."""
        hits = {key[1:] for key in self.findings}
        by_group = windows(self.judged, lambda row: (row["role_group"],))
        by_class = windows(self.judged, class_and_group)
        fired: dict[Key, Row] = {}
        quiet_to: dict[str, date] = {}
        of_operator: dict[str, list[Row]] = defaultdict(list)

        def is_hit(row: Row) -> bool:
            return (row["procedure_id"], row["operator_id"]) in hits

        def share(window: Window, operator: str, day: date) -> tuple[int, int]:
            others = [row for row in window.before(day) if row["operator_id"] != operator]
            return sum(map(is_hit, others)), len(others)

        for row in self.judged:
            operator, day = row["operator_id"], row["procedure_date"]
            of_operator[operator].append(row)
            last = of_operator[operator][-20:]
            n, k = len(last), sum(map(is_hit, last))
            if n < 10 or k < 5 or not is_hit(row) or day <= quiet_to.get(operator, date.min):
                continue
            of_groups = {group: share(by_group[group,], operator, day) for group in {r["role_group"] for r in last}}
            if min(m for _, m in of_groups.values()) < 100:
                continue
            usual = 0.0
            for name, count in Counter(map(class_and_group, last)).items():
                x_group, m_group = of_groups[name[1]]
                x, m = share(by_class[name], operator, day)
                usual += count * (x + 20 * x_group / m_group) / (m + 20)
            least = next(
                (j for j in range(5, n + 1) if stats.binom.sf(j - 1, n, usual / n) < 0.001 and j >= 2 * usual), None
            )
            if least is not None and k >= least:
                fired[row["procedure_id"], operator] = {
                    "value": k,
                    "threshold": least,
                    "n_reference": n,
                    "n_usual": usual,
                    "main_cause": self._habit(last),
                }
                quiet_to[operator] = day + timedelta(days=90)
        return fired

    def _habit(self, rows: Sequence[Row]) -> str:
        """The cause that most of the rows have; of several as frequent none alone."""
        causes = Counter(cause for row in rows if (cause := self._cause(row)) not in (None, "none", "mixed"))
        most = [cause for cause, count in causes.items() if cause and count == max(causes.values())]
        return most[0] if len(most) == 1 else "mixed" if most else "none"

    # --- causes ----------------------------------------------------------------------------------------------------

    @cached_property
    def explanations(self) -> dict[Key, Row]:
        """(procedure, operator) with the columns of fct_dose_explanation, and the row's date and room."""
        explainable = [
            row
            for row in self.adults
            if (row["hp10_usv"] or 0) >= 5
            and (row["kap_gy_cm2"] or 0) >= 1
            and (row["c_arm_dose_usv"] or 0) >= 20
            and row["procedure_type"] != "unclassified"
        ]
        of_class = windows(explainable, class_and_group)
        found: dict[Key, Row] = {}
        for row in explainable:
            reference = of_class[class_and_group(row)].before(row["procedure_date"])
            if len(reference) >= 20:
                usual = {name: geometric_mean(parts(other)[name] for other in reference) for name in parts(row)}
                own = {name: value / usual[name] for name, value in parts(row).items()}
                usual_dose = math.prod(usual.values())
                found[row["procedure_id"], row["operator_id"]] = {
                    "procedure_date": row["procedure_date"],
                    "room_id": row["room_id"],
                    "role_group": row["role_group"],
                    "hp10_usv": row["hp10_usv"],
                    "n_reference": len(reference),
                    "usual_hp10_usv": usual_dose,
                    "hp10_ratio": row["hp10_usv"] / usual_dose,
                    "kap_factor": own["kap"],
                    "scatter_factor": own["scatter"],
                    "protection_factor": own["share"],
                    "excess_hp10_usv": row["hp10_usv"] * (1 - 1 / own["share"]),
                }
        of_room = windows(found.values(), lambda row: (row["room_id"],))
        for row in found.values():
            room = [other["scatter_factor"] for other in of_room[row["room_id"],].before(row["procedure_date"])]
            row["room_scatter_factor"] = geometric_mean(room) if len(room) >= 20 else 1.0
            row["main_cause"] = main_cause(row)
        return found

    @cached_property
    def protections(self) -> dict[Key, Row]:
        """(operator, role group, period, begin) with the columns of fct_operator_protection."""
        grouped: dict[Key, list[Row]] = defaultdict(list)
        a_year_before = self.as_of.replace(
            year=self.as_of.year - 1, day=min(self.as_of.day, 28 if self.as_of.month == 2 else 31)
        )
        for (_, operator), row in self.explanations.items():
            day = row["procedure_date"]
            if any(room == row["room_id"] and begin <= day < end for room, begin, end in self.moved):
                continue
            quarter = day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1)
            grouped[operator, row["role_group"], "quarter", quarter].append(row)
            if day > a_year_before:
                grouped[operator, row["role_group"], "rolling_12_months", a_year_before + DAY].append(row)
        return {key: protection(rows) for key, rows in grouped.items()}

    # --- rooms and classes -----------------------------------------------------------------------------------------

    def statistics(self, place: str, months: int) -> dict[Key, Row]:
        """(place, role group, begin, quantity) with the columns of fct_room_month or fct_class_quarter."""
        values: dict[Key, list[tuple[float, Row]]] = defaultdict(list)
        seen: set[Key] = set()
        for row in sorted(self.rows, key=lambda row: row["operator_id"]):
            day = row["procedure_date"]
            period = day.replace(month=(day.month - 1) // months * months + 1, day=1)
            once = (row["procedure_id"], row["role_group"])
            of_patient = (
                {} if once in seen else {"kap": "kap_gy_cm2", "ka_r": "ka_r_mgy", "fluoro_time": "fluoro_time_s"}
            )
            seen.add(once)
            of_operator = {"hp10": "hp10_usv"}
            if (row["kap_gy_cm2"] or 0) >= 1:
                of_operator["hp10_per_kap"] = "hp10_per_kap_usv_per_gy_cm2"
            if (row["c_arm_dose_usv"] or 0) >= 20:
                of_operator["hp10_to_c_arm"] = "hp10_to_c_arm_percent"
            for quantity, column in (of_patient | of_operator).items():
                if row[column] is not None:
                    values[row[place], row["role_group"], period, quantity].append((row[column], row))
        return {key: self._statistic(key, values) for key in values}

    @staticmethod
    def _statistic(key: Key, values: dict[Key, list[tuple[float, Row]]]) -> Row:
        numbers = [value for value, _ in values[key]]
        before = (*key[:2], key[2].replace(year=key[2].year - 1), key[3])
        q1, median, q3 = (float(q) for q in np.quantile(numbers, [0.25, 0.5, 0.75]))
        logs, logs_before = (
            [math.log(value) for value, _ in values.get(name, []) if value > 0] for name in (key, before)
        )
        change: tuple[float | None, ...] = (None, None, None)
        if min(len(logs), len(logs_before)) >= 20:
            welch = stats.ttest_ind(logs, logs_before, equal_var=False)
            low, high = welch.confidence_interval(0.95)
            change = tuple(math.exp(log) for log in (float(np.mean(logs) - np.mean(logs_before)), low, high))
        return {
            "n": len(numbers),
            "n_operators": len({row["operator_id"] for _, row in values[key]}),
            "n_patients": len({row["patient_key"] for _, row in values[key]} - {None}),
            "q1": q1,
            "median": median,
            "q3": q3,
            "change_vs_last_year": change[0],
            "change_low": change[1],
            "change_high": change[2],
        }


def parts(row: Row) -> dict[str, float]:
    """KAP, C-arm dose per KAP, and Hp(10) per C-arm dose: their product is Hp(10)."""
    return {
        "kap": row["kap_gy_cm2"],
        "scatter": row["c_arm_dose_usv"] / row["kap_gy_cm2"],
        "share": row["hp10_usv"] / row["c_arm_dose_usv"],
    }


def geometric_mean(values: Iterable[float]) -> float:
    return math.exp(float(np.mean([math.log(value) for value in values])))


def main_cause(row: Row) -> str:
    """The cause by the rules of the contract."""
    factors = {
        "radiation": row["kap_factor"],
        "geometry": row["scatter_factor"],
        "protection": row["protection_factor"],
    }
    (cause, largest), (_, second), _ = sorted(factors.items(), key=lambda item: -item[1])
    if row["hp10_ratio"] < 1.5 or largest < 1.5:
        return "none"
    if largest < 1.25 * second:
        return "mixed"
    if cause == "geometry" and row["scatter_factor"] / row["room_scatter_factor"] < 1.25:
        return "c_arm_badge_or_room"
    return cause


def protection(rows: Sequence[Row]) -> Row:
    """Number, geometric mean with interval, and dose above usual of an operator's protection factors."""
    logs = np.log([row["protection_factor"] for row in rows])
    dose, ratio = sum(row["hp10_usv"] for row in rows), math.exp(float(logs.mean()))
    low = high = None
    if len(rows) > 1:
        half = stats.t.ppf(0.975, len(rows) - 1) * logs.std(ddof=1) / math.sqrt(len(rows))
        low, high = math.exp(float(logs.mean() - half)), math.exp(float(logs.mean() + half))
    is_above = len(rows) >= 20 and low is not None and low > 1
    return {
        "n": len(rows),
        "protection_ratio": ratio,
        "ci_low": low,
        "ci_high": high,
        "hp10_usv": dose,
        "above_usual_usv": dose * (1 - 1 / ratio) if is_above else None,
        "above_usual_low_usv": dose * (1 - 1 / low) if is_above and low else None,
        "above_usual_high_usv": dose * (1 - 1 / high) if is_above and high else None,
    }


# --- what is published ---------------------------------------------------------------------------------------------

ROWS = "select * from marts.fct_operator_procedure join marts.fct_procedure using (procedure_id)"


def moved_badges(procedures: Sequence[Row]) -> list[tuple[str, date, date]]:
    """Rooms whose median of 20 C-arm doses per KAP stays over 25 % off the 60 days before, 20 times running."""
    of_room: dict[str, list[tuple[date, float]]] = defaultdict(list)
    for row in sorted(procedures, key=lambda row: (row["procedure_date"], row["started_at"], row["procedure_id"])):
        if (row["kap_gy_cm2"] or 0) >= 1 and row["c_arm_dose_usv"] is not None and row["room_id"] != "unknown":
            of_room[row["room_id"]].append((row["procedure_date"], row["c_arm_dose_usv"] / row["kap_gy_cm2"]))
    found = []
    for room, ratios in of_room.items():
        running: list[date] = []
        for last in range(19, len(ratios)):
            recent = ratios[last - 19 : last + 1]
            first = recent[0][0]
            before = [ratio for day, ratio in ratios if first - 60 * DAY <= day < first]
            level = float(np.median([ratio for _, ratio in recent]))
            is_outside = len(before) >= 20 and abs(level / float(np.median(before)) - 1) > 0.25
            if is_outside:
                running.append(first)
            if running and (not is_outside or last == len(ratios) - 1):
                if len(running) >= 20:
                    found.append((room, running[0], running[0] + YEAR))
                running = []
    return found


def comparison_differences(con: duckdb.DuckDBPyConnection, as_of: date) -> dict[str, Any]:
    """By table or rule: the rows that are missing, too many, or different from what the published rows imply."""
    rows = rows_of(con, ROWS)
    groups = role_groups(rows, dict(con.execute("select operator_id, grade from marts.dim_operator").fetchall()))
    found = {(row["procedure_id"], row["operator_id"]): row["role_group"] for row in rows}
    expected = Comparison(rows, as_of, moved_badges(rows_of(con, "from marts.fct_procedure")))

    def published(query: str, *key: str) -> dict[Key, Row]:
        return {tuple(row[name] for name in key): row for row in rows_of(con, query)}

    findings = "from alerts.alert where rule in ('procedure_dose', 'dose_per_kap', 'dose_to_c_arm')"
    persistent = "from alerts.alert where rule = 'persistent'"
    protection_key = ("operator_id", "role_group", "period", "period_begin")
    differences = {
        "role_group": {key: (group, groups[key]) for key, group in found.items() if group != groups[key]},
        "findings": unlike(published(findings, "rule", "procedure_id", "operator_id"), expected.findings),
        "persistent": unlike(published(persistent, "procedure_id", "operator_id"), expected.persistent),
        "fct_dose_explanation": unlike(
            published("from marts.fct_dose_explanation", "procedure_id", "operator_id"), expected.explanations
        ),
        "fct_operator_protection": unlike(
            published("from marts.fct_operator_protection", *protection_key), expected.protections
        ),
        "fct_room_month": unlike(
            published("from marts.fct_room_month", "room_id", "role_group", "month", "quantity"),
            expected.statistics("room_id", 1),
        ),
        "fct_class_quarter": unlike(
            published("from marts.fct_class_quarter", "procedure_type", "role_group", "quarter", "quantity"),
            expected.statistics("procedure_type", 3),
        ),
    }
    return {name: rows for name, rows in differences.items() if rows}


def unlike(published: dict[Key, Row], expected: dict[Key, Row]) -> dict[Key, Any]:
    """Rows that differ in a column that both have, or that only one side has."""
    different: dict[Key, Any] = {
        key: {
            name: (row[name], value)
            for name, value in expected[key].items()
            if name in row and not alike(row[name], value)
        }
        for key, row in published.items()
        if key in expected
    }
    different |= {
        key: "is published only" if key in published else "is missing" for key in published.keys() ^ expected.keys()
    }
    return {key: value for key, value in different.items() if value}


def alike(one: Any, other: Any) -> bool:
    """Whether two cells are equal, numbers to 1e-9."""
    if isinstance(one, float) or isinstance(other, float):
        return one is not None and other is not None and abs(one - other) <= 1e-9 * max(abs(one), abs(other)) + 1e-12
    return bool(one == other)


def rows_of(con: duckdb.DuckDBPyConnection, query: str) -> list[Row]:
    """Rows of a query by column."""
    answer = con.execute(query)
    names = [column[0] for column in answer.description or []]
    return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]
