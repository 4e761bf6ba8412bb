"""Months, limits and findings about operators once more, from raw badge rows and procedures, in exact fractions.

Shares no code and no SQL with the product; of its seeds (limits, factors) it reads the rows as a person would.
"""

from __future__ import annotations

import csv
from bisect import bisect_left
from calendar import monthrange
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import numpy as np

from support import paths
from support.recomputed_comparison import Comparison, is_child

SEEDS = paths.DBT_PROJECT / "seeds"
DAY = timedelta(days=1)
RULES = (
    "procedure_dose",
    "dose_per_kap",
    "dose_to_c_arm",
    "absolute_dose",
    "persistent",
    "badge_not_worn",
    "badge_mismatch",
    "monthly_dose",
    "dose_limit",
    "pregnancy",
)
QUANTITIES = ("effective", "effective_dose_equivalent", "lens", "extremity", "unborn_child")
Key = tuple[Any, ...]
Doses = tuple[Fraction, Fraction, Fraction | None]  # of record, warning, warning at most
NEEDS = {"under": {"under_apron"}, "over": {"over_apron"}, "both": {"under_apron", "over_apron"}}


def seed(name: str) -> list[dict[str, str]]:
    with (SEEDS / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def month_of(day: date) -> date:
    return day.replace(day=1)


def days_of(first: date, last: date) -> Iterator[date]:
    return (first + n * DAY for n in range((last - first).days + 1))


@dataclass(frozen=True)
class Day:
    """Doses of a person at a place of the body on one day, of record and for warnings, and both readings, µSv."""

    electronic: Fraction | None
    passive: Fraction | None
    worn_at: str
    result: Key | None  # the passive result to which the day belongs
    warning: Fraction
    high: Fraction | None  # the warning dose with the limit of detection in place of 0; None: limit not stated
    high_share: Fraction | None = None  # of the passive result likewise
    n_days: int = 0  # of its wear period

    @property
    def dose(self) -> Fraction:
        """The passive share, else the electronic dose."""
        return self.passive if self.passive is not None else self.electronic or Fraction(0)

    @property
    def source(self) -> str:
        """Which badge is the one of record."""
        return "passive" if self.passive is not None else "electronic"


@dataclass(frozen=True)
class Result:
    """A passive result: its share of each day, and that with the limit of detection (None: not stated) for 0."""

    key: Key
    share: Fraction
    high: Fraction | None
    n_days: int


def warning_of_day(electronic: Fraction | None, of_result: Fraction, share: Fraction, n_days: int) -> Fraction:
    """The electronic dose of the day times max(1, P / E); P shared evenly where E is 0."""
    return (electronic or Fraction(0)) * max(Fraction(1), share * n_days / of_result) if of_result else share


def times(factor: Fraction, doses: Doses) -> Doses:
    of_record, warning, high = doses
    return factor * of_record, factor * warning, None if high is None else factor * high


def total_if_known(doses: Iterable[Fraction | None]) -> Fraction | None:
    """Sum, or None if one of them is not known or there is none."""
    found = list(doses)
    return None if None in found or not found else sum((dose for dose in found if dose is not None), Fraction(0))


def total(doses: Iterable[Fraction | None]) -> Fraction | None:
    """Sum of what is known; None if nothing is."""
    known = [dose for dose in doses if dose is not None]
    return sum(known, Fraction(0)) if known else None


def kind_of(sources: Iterable[str]) -> str | None:
    kinds = set(sources)
    return (kinds.pop() if len(kinds) == 1 else "mixed") if kinds else None


class Reckoning:
    """What the published tables must say of operators.

    Args:
        build: connection to the build database; of it only ``raw.*``.
        published: connection to ``restricted.duckdb``; of it only procedures and what operators got in them.
        as_of: valid-time date.
    """

    def __init__(self, build: duckdb.DuckDBPyConnection, published: duckdb.DuckDBPyConnection, as_of: date) -> None:
        self.build, self.published, self.as_of = build, published, as_of
        (self.site,) = self._raw("site")
        self.zone = ZoneInfo(self.site["timezone"])
        self.operators = {row["operator_id"]: row for row in self._raw("ref_operators")}
        self.projections: dict[Key, tuple[Fraction | None, int, str]] = {}  # beside ``limits``

    def _raw(self, table: str) -> list[dict[str, Any]]:
        return rows_of(self.build, f"select * from raw.{table}")

    # --- badges ----------------------------------------------------------------------------------------------------

    @cached_property
    def records(self) -> list[dict[str, Any]]:
        """Every dose once, as increments with its local day: newest version, counters as steps."""
        sources = {row["source_id"]: row for row in self._raw("source")}
        newest: dict[Key, dict[str, Any]] = {}
        for row in sorted(self._raw("dose_record"), key=lambda row: (row["load_seq"], row["line"])):
            assert not row["is_ambiguous"], "no doubled hour in these hospitals"
            measured = (row["started_at"], row["period_end"])
            key = (row["source_id"], row["dosimeter_serial"], row["quantity"], row["layout"], *measured)
            newest[key] = row
        counters: dict[Key, list[dict[str, Any]]] = defaultdict(list)
        increments = []
        for row in newest.values():
            counter = row["layout"] == "counter_log" or sources[row["source_id"]]["counter"] == "cumulative"
            if counter and row["token"] is None:
                counters[row["source_id"], row["dosimeter_serial"], row["quantity"], row["layout"]].append(row)
            else:
                increments.append(row | {"day": row["period_end"] or self._local(row["started_at"])})
        for readings in counters.values():
            increments += self._steps(sorted(readings, key=lambda row: row["started_at"]))
        return [row for row in increments if row["day"] <= self.as_of]

    def _steps(self, readings: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        is_hourly = readings[0]["layout"] == "hourly_totals"
        highest = readings[0]["value_usv"]
        for before, after in pairwise(readings):
            fall = before["value_usv"] - after["value_usv"]
            if fall > 0 and (10 * fall > before["value_usv"] or fall > 5):  # a reset, no correction
                highest = 0
            step = max(0, after["value_usv"] - highest)
            highest += step
            start = before["ended_at"] if is_hourly else before["started_at"]
            end = after["ended_at"] if is_hourly else after["started_at"]
            yield after | {
                "value_usv": step,
                "started_at": start,
                "ended_at": end,
                "day": self._local(start if is_hourly else end),
            }

    def _local(self, at: datetime) -> date:
        return at.astimezone(self.zone).date()

    def _wearer(self, record: dict[str, Any]) -> tuple[str | None, str | None]:
        """(operator, place of wear); no operator: the C-arm, nobody, or not occupational."""
        assigned = [
            row
            for row in self._raw_assignments
            if row["dosimeter_serial"] == record["dosimeter_serial"]
            and row["valid_from"] <= record["day"] <= (row["valid_to"] or date.max)
        ]
        if len(assigned) != 1:
            return None, None
        operator = assigned[0]["operator_id"]
        # The last day of a passive result ends at midnight, which people write as 23:59.
        grace = timedelta(minutes=1 if record["layout"] == "badge_periods" else 0)
        for row in self._raw_corrections:
            within = row["from_at"] <= record["started_at"] and record["ended_at"] <= row["to_at"] + grace
            if row["dosimeter_serial"] == record["dosimeter_serial"] and within:
                operator = row["operator_id"] if row["kind"] == "worn_by" else None
        return operator, assigned[0]["worn_at"]

    @cached_property
    def _raw_assignments(self) -> list[dict[str, Any]]:
        return self._raw("ref_dosimeters")

    @cached_property
    def _raw_corrections(self) -> list[dict[str, Any]]:
        return self._raw("ref_corrections")

    @cached_property
    def days(self) -> dict[tuple[str, date, str], Day]:
        """(operator, day, place) with its dose of record and its warning dose."""
        days: dict[tuple[str, date, str], Day] = {}
        by_result: dict[Key, list[tuple[tuple[str, date, str], Fraction | None, Result, str]]] = defaultdict(list)
        for key, (electronic, worn_at, passive) in self._readings().items():
            if passive is None:
                dose = electronic or Fraction(0)
                days[key] = Day(electronic, None, worn_at, None, dose, dose)
            else:
                by_result[key[0], key[2], passive.key].append((key, electronic, passive, worn_at))
        for (_, _, result), of_days in by_result.items():
            e = sum((electronic or Fraction(0) for _, electronic, _, _ in of_days), Fraction(0))
            for key, electronic, passive, worn_at in of_days:
                low = warning_of_day(electronic, e, passive.share, len(of_days))
                high = None if passive.high is None else warning_of_day(electronic, e, passive.high, len(of_days))
                shown = (electronic, passive.share, worn_at, result)
                days[key] = Day(*shown, low, high, passive.high, passive.n_days)
        return days

    def _readings(self) -> dict[tuple[str, date, str], tuple[Fraction | None, str, Result | None]]:
        """(operator, day, place) with the electronic dose, where the badge of record is worn, the passive result."""
        places = {(row["worn_at"], row["quantity"]): row for row in seed("badge_places")}
        samples: dict[Key, list[tuple[datetime, Fraction]]] = defaultdict(list)
        for row in self.records:
            if row["layout"] == "rate_samples":
                samples[row["dosimeter_serial"], row["quantity"]].append(
                    (row["started_at"], Fraction(row["value_usv"]))
                )
        for of_badge in samples.values():
            of_badge.sort()
        electronic: dict[Key, dict[Key, list[Fraction]]] = defaultdict(lambda: defaultdict(list))
        passive: dict[Key, list[tuple[Key, Result, str]]] = defaultdict(list)
        lods = {row["source_id"]: row["lod_usv"] for row in self._raw("source")}
        for row in self.records:
            operator, worn_at = self._wearer(row)
            place = places.get((worn_at or "", row["quantity"]))
            if not operator or not place:
                continue
            dose = Fraction(row["value_usv"] or 0)
            badge = (-int(place["preference"]), worn_at)
            if row["layout"] == "badge_periods":
                span = list(days_of(row["period_begin"], row["period_end"]))
                rank = (dose > 0, badge[0], row["load_seq"], row["line"])
                at_most = row["value_usv"] if row["token"] is None else lods[row["source_id"]]
                high = None if at_most is None else Fraction(at_most) / len(span)
                names = (row["load_seq"], row["line"], row["quantity"])
                result = Result(names, dose / len(span), high, len(span))
                for day in span:
                    passive[operator, day, place["place"]].append((rank, result, str(worn_at)))
            elif row["token"] is None:
                if row["layout"] == "hourly_totals":
                    of_badge = samples[row["dosimeter_serial"], row["quantity"]]
                    first, end = (bisect_left(of_badge, (row[at],)) for at in ("started_at", "ended_at"))
                    dose -= min(dose, sum(value for _, value in of_badge[first:end]))
                serial = row["dosimeter_serial"]
                electronic[operator, row["day"], place["place"]][(*badge, serial)].append(dose)
        return {
            key: self._reading(electronic.get(key, {}), passive.get(key, []))
            for key in electronic.keys() | passive.keys()
        }

    @staticmethod
    def _reading(
        electronic: dict[Key, list[Fraction]], passive: list[tuple[Key, Result, str]]
    ) -> tuple[Fraction | None, str, Result | None]:
        dose = worn_at = result = None
        if electronic:
            # Shows dose; collar before chest; more records; lower serial.
            best = min(electronic, key=lambda b: (sum(electronic[b]) <= 0, -b[0], -len(electronic[b]), b[2]))
            dose, worn_at = sum(electronic[best], Fraction(0)), best[1]
        if passive:
            _, result, worn_at = max(passive, key=lambda of: of[0])
        return dose, str(worn_at), result

    # --- quantities ------------------------------------------------------------------------------------------------

    def lens_factor(self, operator: str, worn_at: str) -> Fraction:
        """Hp(3) of the lens per Hp(10) over the apron."""
        glasses = str(bool(self.operators[operator]["wears_lead_glasses"])).lower()
        (row,) = (
            row
            for row in seed("lens_dose_factors")
            if (row["worn_at"], row["wears_lead_glasses"]) == (worn_at, glasses)
        )
        return Fraction(row["value"])

    def wears_over_apron(self, operator: str, day: date) -> bool:
        """Whether a badge over the apron is assigned on that day, or shows dose."""
        return (operator, day, "over_apron") in self.days or any(
            row["operator_id"] == operator
            and row["worn_at"].startswith("over_apron")
            and row["valid_from"] <= day <= (row["valid_to"] or date.max)
            for row in self._raw_assignments
        )

    @cached_property
    def methods(self) -> dict[tuple[str, date, str], dict[str, str]]:
        """(operator, day, quantity) with the jurisdiction's first method for the badges of the day's segment."""
        segments: dict[Key, list[date]] = defaultdict(list)
        for (operator, day, place), of_day in self.days.items():
            if place == "under_apron":
                segments[operator, month_of(day), of_day.result or day].append(day)
        badges = {(operator, day): {"over_apron"} for operator, day, place in self.days if place == "over_apron"}
        for (operator, _, _), days in segments.items():
            over = {"over_apron"} if any(self.wears_over_apron(operator, day) for day in days) else set()
            badges |= {(operator, day): {"under_apron"} | over for day in days}
        choices = [row for row in seed("jurisdiction_methods") if row["jurisdiction"] == self.site["jurisdiction"]]
        chosen: dict[tuple[str, date, str], dict[str, str]] = {}
        for (operator, day), places in badges.items():
            collar = str(bool(self.operators[operator]["wears_thyroid_collar"])).lower()
            # Two badges take a method of two; where the jurisdiction has none, that of the one over the apron.
            for needed in {1: [places], 2: [places, {"over_apron"}]}[len(places)]:
                for choice in sorted(choices, key=lambda row: int(row["method_rank"])):
                    for method in seed("effective_dose_methods"):
                        fits = method["method"] == choice["method"] and method["with_thyroid_collar"] in ("", collar)
                        if fits and NEEDS[method["badges"]] == needed:
                            chosen.setdefault((operator, day, method["quantity"]), method)
        return chosen

    def contributions(self, quantity: str) -> Iterator[tuple[str, date, str, Doses, str]]:
        """Operator, day, place, µSv and source of all that counts for a quantity."""
        for (operator, day, place), of_day in self.days.items():
            doses = (of_day.dose, of_day.warning, of_day.high)
            method = self.methods.get((operator, day, quantity))
            if method and place in ("under_apron", "over_apron"):
                yield operator, day, place, times(Fraction(method[f"{place}_factor"]), doses), of_day.source
            measured = quantity == "lens" and place == "eye"
            hand = quantity == "extremity" and place in ("left_hand", "right_hand")
            child = quantity == "unborn_child" and place == "under_apron"
            if measured or hand or child:
                yield operator, day, place, doses, of_day.source
            if quantity == "lens" and place == "over_apron" and (operator, day, "eye") not in self.days:
                yield operator, day, place, times(self.lens_factor(operator, of_day.worn_at), doses), of_day.source
        for row in self._raw("ref_external_dose"):
            span = list(days_of(row["period_begin"], row["period_end"]))
            for day in span:
                if row["quantity"] == quantity and day <= self.as_of:
                    place = "external" if row["period_end"] <= self.as_of else "running"
                    share = Fraction(row["dose_msv"]) * 1000 / len(span)
                    yield row["operator_id"], day, place, (share, share, share), "external"

    # --- months ----------------------------------------------------------------------------------------------------

    @cached_property
    def procedures(self) -> list[dict[str, Any]]:
        """Rows of fct_operator_procedure with the columns of their procedure."""
        return rows_of(
            self.published,
            "select * from marts.fct_operator_procedure join marts.fct_procedure using (procedure_id)",
        )

    @cached_property
    def months(self) -> dict[tuple[str, date], dict[str, Any]]:
        """(operator, month) with the columns of fct_operator_month."""
        days: dict[tuple[str, date], list[tuple[str, Day]]] = defaultdict(list)
        for (operator, day, place), of_day in self.days.items():
            days[operator, month_of(day)].append((place, of_day))
        effective: dict[tuple[str, date], list[tuple[date, Doses, str]]] = defaultdict(list)
        for operator, day, _, doses, source in self.contributions("effective"):
            effective[operator, month_of(day)].append((day, doses, source))
        worked: dict[tuple[str, date], list[dict[str, Any]]] = defaultdict(list)
        for row in self.procedures:
            worked[row["operator_id"], month_of(row["procedure_date"])].append(row)
        undetected = self._undetected()
        return {
            key: self._month(key, days[key], effective[key], worked[key], len(undetected.get(key, ())))
            for key in days.keys() | effective.keys() | worked.keys() | undetected.keys()
        }

    def _undetected(self) -> dict[tuple[str, date], set[Key]]:
        found: dict[tuple[str, date], set[Key]] = defaultdict(set)
        for row in self.records:
            operator, _ = self._wearer(row)
            if operator and row["token"] == "below_detection":
                for day in days_of(row["period_begin"] or row["day"], row["period_end"] or row["day"]):
                    found[operator, month_of(day)].add((row["load_seq"], row["line"]))
        return found

    def _month(
        self,
        key: tuple[str, date],
        days: list[tuple[str, Day]],
        effective: list[tuple[date, Doses, str]],
        worked: list[dict[str, Any]],
        n_below_detection: int,
    ) -> dict[str, Any]:
        def of(place: str) -> list[Day]:
            return [day for where, day in days if where == place]

        over, under = of("over_apron"), of("under_apron")
        hands = [total(day.dose for day in of(hand)) for hand in ("left_hand", "right_hand")]
        beside = total(day.electronic for day in over if day.passive is not None)
        passive = total(day.passive for day in over)
        methods = {self.methods[key[0], day, "effective"]["method"] for day, _, s in effective if s != "external"}
        low = total(doses[1] for _, doses, _ in effective)
        return {
            "procedures": len(worked),
            "procedures_with_badge": sum(row["badge_status"] != "missing" for row in worked),
            "hp10_over_apron_usv": total(day.electronic for day in over),
            "hp10_linked_usv": total(exactly(row["hp10_usv"]) for row in worked),
            "hp10_under_apron_usv": total(day.electronic for day in under),
            "hp007_hand_usv": max((hand for hand in hands if hand is not None), default=None),
            "effective_dose_estimate_usv": low,
            "effective_dose_low_usv": low,
            "effective_dose_high_usv": total_if_known(doses[2] for _, doses, _ in effective),
            "effective_dose_method": ", ".join(sorted(methods)) or ("external" if effective else None),
            "hp10_over_apron_warning_usv": total(day.warning for day in over),
            "hp3_estimate_usv": total(self.lens_factor(key[0], day.worn_at) * day.dose for day in over),
            "badge_hp10_over_apron_usv": passive,
            "badge_hp10_under_apron_usv": total(day.passive for day in under),
            "dose_source": kind_of([day.source for _, day in days] + [s for _, _, s in effective if s == "external"]),
            "n_below_detection": n_below_detection,
            "epd_to_badge_ratio": beside / passive if passive and beside is not None else None,
            "kap_gy_cm2": total(exactly(row["kap_gy_cm2"]) for row in worked),
        }

    # --- limits ----------------------------------------------------------------------------------------------------

    def windows(self, operator: dict[str, Any]) -> dict[str, list[tuple[date, date]]]:
        """First and last day of each window, of a month all that may be the worst; both count."""
        began, declared, ended = (operator[f"pregnancy_{step}_on"] for step in ("began", "declared", "ended"))
        first_days = [
            day for quantity in QUANTITIES for who, day, *_ in self.doses[quantity] if who == self._id(operator)
        ]
        months = [month_of(self.as_of)]
        while len(months) < 12:
            months.append(month_of(months[-1] - DAY))
        windows = {
            "calendar_year": [(self.as_of.replace(month=1, day=1), self.as_of)],
            "rolling_12_months": [(years_before(self.as_of, 1) + DAY, self.as_of)],
            "rolling_5_years": [(years_before(self.as_of, 5) + DAY, self.as_of)],
            "career": [(min(first_days, default=self.as_of), self.as_of)],
            "month": [(month, self._end_of(month)) for month in months],
        }
        if declared and declared <= self.as_of:
            begin = min(began or declared, declared)
            end = ended or begin + 280 * DAY
            windows |= {"from_declaration": [(declared, end)], "entire_pregnancy": [(begin, end)]}
        return windows

    @staticmethod
    def _id(operator: dict[str, Any]) -> str:
        return str(operator["operator_id"])

    def groups(self, operator: dict[str, Any]) -> set[str]:
        """The groups of workers whose limits apply, the young by age alone; a pregnancy shows by its window."""
        born = operator["birth_date"]
        is_minor = born is not None and born > years_before(self.as_of, 18)
        groups = {"apprentice" if is_minor else "adult", "pregnant"}
        return groups | ({"category_b"} if operator["worker_category"] == "B" else set())

    @cached_property
    def doses(self) -> dict[str, list[Key]]:
        """What counts for each quantity: operator, day, place, µSv, source."""
        return {quantity: list(self.contributions(quantity)) for quantity in QUANTITIES}

    @cached_property
    def limits_in_force(self) -> list[dict[str, str]]:
        """The jurisdiction's limits on as_of, under the site's regime if it has that one, else under its own."""
        regimes = [row for row in seed("lens_regimes") if self._holds(row)]
        stated = [row for row in regimes if row["lens_regime"] == self.site["lens_regime"]]
        own = [row for row in regimes if row["is_default"] == "true"]
        regime = {row["lens_regime"] for row in (stated or own)[:1]} | {""}
        return [
            row
            for row in seed("dose_limits")
            if self._holds(row) and row["lens_regime"] in regime and row["quantity"] != "skin"
        ]

    def _holds(self, row: dict[str, str]) -> bool:
        begin, end = row["valid_from"] or "0001-01-01", row["valid_to"] or "9999-12-31"
        return row["jurisdiction"] == self.site["jurisdiction"] and begin <= self.as_of.isoformat() <= end

    @cached_property
    def limits(self) -> dict[Key, dict[str, Any]]:
        """(operator, quantity, window, limit_rule) with the columns of fct_operator_limit."""
        found: dict[Key, dict[str, Any]] = {}
        for operator_id, operator in self.operators.items():
            windows, groups = self.windows(operator), self.groups(operator)
            for limit in self.limits_in_force:
                spans = windows.get(limit["pregnancy_window"] or limit["dose_window"], [])
                if limit["applies_to"] not in groups or not self._binds(operator, limit):
                    continue
                rows = [self._limit(operator, limit, span) for span in spans]
                if rows:
                    # Of the months the one with most dose, of equal ones the latest.
                    worst = max(
                        rows,
                        key=lambda row: (
                            row["warning_dose_msv"] is not None,
                            row["warning_dose_msv"] or 0,
                            row["window_begin"],
                        ),
                    )
                    found[operator_id, limit["quantity"], limit["dose_window"], limit["limit_rule"]] = worst
        return found

    def _binds(self, operator: dict[str, Any], limit: dict[str, str]) -> bool:
        began, declared = operator["pregnancy_began_on"], operator["pregnancy_declared_on"]
        if not limit["after_dose_msv"]:
            return True
        before = [
            dose
            for who, day, _, (_, dose, _), _ in self.doses["unborn_child"]
            if who == operator["operator_id"] and began and declared and began <= day < declared
        ]
        return bool(before) and sum(before) / 1000 >= Fraction(limit["after_dose_msv"])

    def _limit(self, operator: dict[str, Any], limit: dict[str, str], span: tuple[date, date]) -> dict[str, Any]:
        is_child = limit["dose_window"] == "pregnancy" or limit["quantity"] == "uterus"
        quantity = "unborn_child" if is_child else limit["quantity"]
        own = [row for row in self.doses[quantity] if row[0] == operator["operator_id"]]
        within = [row for row in own if span[0] <= row[1] <= span[1]]
        value = Fraction(limit["value"])
        dose, warning = (higher_hand_and_rest(within, kind) if within else None for kind in (0, 1))
        is_known = within and all(row[3][2] is not None for row in within)
        projected = recent = None
        begin = max(span[0], operator["works_from"] or span[0])
        end = max(self.as_of, min(date(self.as_of.year, 12, 31), operator["works_to"] or date.max))
        if limit["dose_window"] == "calendar_year" and warning is not None:
            running = higher_hand_and_rest((row for row in within if row[2] != "external"), 1)
            days, elapsed = (end - begin).days + 1, (self.as_of - begin).days + 1
            if elapsed > 60:
                projected = (running * days / elapsed + warning - running) / value
            last_days = (row for row in own if row[1] > self.as_of - 90 * DAY and row[2] != "external")
            recent = higher_hand_and_rest(last_days, 1) * (end - self.as_of).days / 90 / value
        covered = {row[1] for row in within if row[4] != "external"}
        estimated = limit["quantity"] in ("effective", "effective_dose_equivalent") and not is_child
        is_pregnancy = limit["dose_window"] == "pregnancy"
        self.projections[self._id(operator), limit["quantity"], limit["dose_window"], limit["limit_rule"]] = (
            recent,
            (self.as_of - begin).days + 1,
            limit["applies_to"],
        )
        return {
            "window_begin": span[0],
            "window_end": span[1],
            "dose_msv": dose,
            "limit_msv": value,
            "fraction_of_limit": None if dose is None else dose / value,
            "warning_fraction": None if warning is None else warning / value,
            "projected_fraction": projected,
            "is_estimate": any(
                row[4] != "external" and (estimated or (limit["quantity"] == "lens" and row[2] == "over_apron"))
                for row in within
            )
            if within
            else None,
            "dose_source": kind_of(row[4] for row in within),
            "covered_days": len(covered) or None,
            "covered_to_date": max(covered, default=None),
            "is_begin_unknown": limit["pregnancy_window"] == "entire_pregnancy" and not operator["pregnancy_began_on"]
            if is_pregnancy
            else None,
            "limit_citation": limit["source"],
            "warning_dose_msv": warning,
            "dose_low_msv": warning,
            "dose_high_msv": higher_hand_and_rest(within, 2) if is_known else None,
            "limit_status": limit["status"],
            "valid_from": date.fromisoformat(limit["valid_from"]) if limit["valid_from"] else None,
            "valid_to": date.fromisoformat(limit["valid_to"]) if limit["valid_to"] else None,
        }

    # --- findings --------------------------------------------------------------------------------------------------

    def findings(self) -> set[Key]:
        """(rule, operator, procedure or None, day, severity) of every finding of RULES."""
        badges = self._badge_not_worn() | self._badge_mismatch()
        return self._dose_findings() | badges | self._monthly() | self._limit_findings()

    @cached_property
    def comparison(self) -> Comparison:
        """The rules that compare within procedure class and role group."""
        return Comparison(self.procedures, self.as_of)

    def _dose_findings(self) -> set[Key]:
        days = {row["procedure_id"]: row["procedure_date"] for row in self.procedures}
        severities = {"procedure_dose": "review", "dose_per_kap": "review", "dose_to_c_arm": "notice"}
        compared = {
            (rule, operator, procedure, days[procedure], severities[rule])
            for rule, procedure, operator in self.comparison.findings
        }
        persistent = {
            ("persistent", operator, procedure, days[procedure], "review")
            for procedure, operator in self.comparison.persistent
        }
        absolute = {
            ("absolute_dose", row["operator_id"], row["procedure_id"], row["procedure_date"], severity)
            for row in self.procedures
            if (hp10 := row["hp10_usv"] or 0) > 100 and (severity := "review" if hp10 > 200 else "notice")
        }
        return compared | persistent | absolute

    def _badge_not_worn(self) -> set[Key]:
        found = set()
        expected: dict[tuple[str, date], float] = defaultdict(float)
        for row in self.procedures:
            c_arm, kap = row["c_arm_dose_usv"], row["kap_gy_cm2"]
            radiation = kap is not None and kap >= 10 if c_arm is None else c_arm >= 20
            if row["badge_status"] == "missing" and radiation:
                where = (row["operator_id"], row["procedure_id"], row["procedure_date"])
                found.add(("badge_not_worn", *where, "notice"))
            values = [other["hp10_usv"] for other in self.comparison.reference(row)] if not is_child(row) else []
            if len(values) >= 20:
                expected[row["operator_id"], month_of(row["procedure_date"])] += float(np.quantile(values, 0.5))
        for (operator, month), dose in expected.items():
            measured = self.months[operator, month]["hp10_over_apron_usv"] or 0
            if dose >= 50 and measured < dose / 10:
                found.add(("badge_not_worn", operator, None, self._end_of(month), "notice"))
        return found

    def _badge_mismatch(self) -> set[Key]:
        """Passive results by person and place: each alone and with the two before, against both other badges."""
        by_result: dict[Key, list[date]] = defaultdict(list)
        for (operator, day, place), of_day in self.days.items():
            if of_day.result:
                by_result[operator, place, of_day.result].append(day)
        by_place: dict[tuple[str, str], list[list[date]]] = defaultdict(list)
        for (operator, place, _), days in by_result.items():
            by_place[operator, place].append(sorted(days))
        found = set()
        for (operator, place), results in by_place.items():
            results.sort(key=lambda days: (days[-1], days[0]))
            fired: dict[str, list[int]] = defaultdict(list)
            for n, days in enumerate(results):
                alone = self._mismatches(operator, place, days)
                together = [day for result in results[n - 2 : n + 1] for day in result] if n >= 2 else []
                of_three = self._mismatches(operator, place, together) - {"under_above_over"} if together else set()
                for step in alone | of_three:
                    fired[step].append(n)
                    repeated = sum(n - 2 <= m <= n for m in fired[step]) >= 2
                    found.add(("badge_mismatch", operator, None, days[-1], "review" if repeated else "notice"))
        return found

    def _mismatches(self, operator: str, place: str, days: list[date]) -> set[str]:
        """Steps that these days of one or several passive results fire."""
        of_days = [self.days[operator, day, place] for day in days]
        e = sum((day.electronic or Fraction(0) for day in of_days), Fraction(0))
        p = sum((self._compared(operator, day, place) for day in days), Fraction(0))
        over = [self.days.get((operator, day, "over_apron")) for day in days]
        over_apron = sum((day.warning for day in over if day), Fraction(0))
        steps = set()
        if e >= 300 and 2 * p < e:
            steps.add("passive_low")
        assigned = sum(self._has_electronic(operator, day, place) for day in days)
        if p >= 300 and p > 3 * e and 10 * assigned >= 8 * len(days):
            steps.add("electronic_low")
        is_number = all(day.passive == day.high_share for day in of_days)
        is_worn = any(self.wears_over_apron(operator, day) for day in days)
        if place == "under_apron" and is_number and is_worn and p >= 100 and 2 * p > 3 * over_apron:
            steps.add("under_above_over")
        return steps

    def _compared(self, operator: str, day: date, place: str) -> Fraction:
        """The day's share of a passive result, below detection as the limit of detection, else as 0.1 mSv."""
        of_day = self.days[operator, day, place]
        return Fraction(100, of_day.n_days) if of_day.high_share is None else of_day.high_share

    @cached_property
    def _electronic_badges(self) -> set[tuple[str, str]]:
        """(serial, quantity) of which an electronic record was read."""
        return {(r["dosimeter_serial"], r["quantity"]) for r in self.records if r["layout"] != "badge_periods"}

    def _has_electronic(self, operator: str, day: date, place: str) -> bool:
        """Whether an electronic badge is assigned to the person at the place on that day; no badge names its source."""
        measured_at = {(row["worn_at"], row["quantity"]) for row in seed("badge_places") if row["place"] == place}
        return any(
            row["operator_id"] == operator
            and row["valid_from"] <= day <= (row["valid_to"] or date.max)
            and (row["dosimeter_serial"], quantity) in self._electronic_badges
            for row in self._raw_assignments
            for worn_at, quantity in measured_at
            if row["worn_at"] == worn_at
        )

    def _monthly(self) -> set[Key]:
        found = set()
        for (operator, month), row in self.months.items():
            over = total(
                day.warning
                for (who, when, place), day in self.days.items()
                if (who, month_of(when), place) == (operator, month, "over_apron")
            )
            if (over or 0) >= 1700 or (row["effective_dose_low_usv"] or 0) >= 500:
                found.add(("monthly_dose", operator, None, self._end_of(month), "review"))
        return found

    def _limit_findings(self) -> set[Key]:
        return {
            (rule, operator, None, min(self._end_of_limit(rule, operator), self.as_of), severity)
            for rule, operator, _, _, severity, _ in self.limit_findings()
        }

    def _end_of_limit(self, rule: str, operator: str) -> date:
        ends = [row["window_end"] for key, row in self.limits.items() if key[0] == operator and key[2] == "pregnancy"]
        return min(ends, default=date.max) if rule == "pregnancy" else self.as_of

    def limit_findings(self) -> set[Key]:
        """(rule, operator, step, dose_window, severity, value to six decimals) of dose_limit and pregnancy."""
        found: set[Key] = set()
        by_limit: dict[Key, list[tuple[float, str]]] = defaultdict(list)
        for (operator, quantity, window, rule), row in self.limits.items():
            percent = round(float(row["warning_fraction"] or 0) * 100, 9)
            if window == "pregnancy":
                reached = [step for step in (("1", 10), ("2", 50), ("3", 80)) if percent >= step[1]]
                severity = ("", "notice", "review", "urgent")[len(reached)]
                if reached:
                    found.add(("pregnancy", operator, f"{len(reached)}/{rule}", window, severity, round(percent, 6)))
                continue
            if row["warning_fraction"] is not None:
                by_limit[operator, quantity, rule].append((percent, window))
            recent, elapsed, _ = self.projections[operator, quantity, window, rule]
            shares = [recent or 0]
            if elapsed >= 90 and percent >= 20:
                shares.append(row["projected_fraction"] or 0)
            projected = round(float(max(shares)) * 100, 9)
            if percent < 100 <= projected:
                step = f"projected_100/{quantity}/{rule}"
                found.add(("dose_limit", operator, step, window, "review", round(projected, 6)))
        for (operator, quantity, rule), shares_of_windows in by_limit.items():
            percent = max(share for share, _ in shares_of_windows)
            window = min(name for share, name in shares_of_windows if share == percent)
            n = sum(percent >= step for step in (30, 60, 100))
            row = self.limits[operator, quantity, window, rule]
            is_soft = row["limit_status"] == "must_confirm" or rule.startswith("category_b")
            severity = ("", "notice", "review", "review" if is_soft else "urgent")[n]
            if n:
                step = f"{n}/{quantity}/{rule}"
                found.add(("dose_limit", operator, step, window, severity, round(percent, 6)))
        return found | self._foetal_badges()

    def _foetal_badges(self) -> set[Key]:
        found: set[Key] = set()
        for operator_id, operator in self.operators.items():
            declared, spans = operator["pregnancy_declared_on"], self.windows(operator).get("from_declaration")
            if not spans or spans[0][1] < self.as_of:
                continue
            badges = [
                row
                for row in self._raw_assignments
                if row["operator_id"] == operator_id and row["worn_at"].startswith("under_apron")
            ]
            days = [day for who, day, place in self.days if (who, place) == (operator_id, "under_apron")]
            if not any(row["valid_from"] <= self.as_of <= (row["valid_to"] or date.max) for row in badges):
                since = (self.as_of - declared).days
                if since >= 8:
                    found.add(("pregnancy", operator_id, "no_foetal_badge", None, "urgent", since))
                continue
            last = max(days, default=min(row["valid_from"] for row in badges))
            if (back := (self.as_of - last).days) > 31 + self.site["passive_delay_days"]:
                found.add(("pregnancy", operator_id, "foetal_badge_overdue", None, "review", back))
        return found

    def _end_of(self, month: date) -> date:
        return min(month.replace(day=monthrange(month.year, month.month)[1]), self.as_of)


def higher_hand_and_rest(rows: Iterable[Key], kind: int) -> Fraction:
    """Dose of rows in mSv, of record (0), warning (1) or at most (2): of two hands the higher, and all the rest."""
    by_place: dict[str, Fraction] = defaultdict(Fraction)
    for _, _, place, doses, _ in rows:
        by_place[place] += doses[kind]
    hands = max(by_place.pop("left_hand", Fraction(0)), by_place.pop("right_hand", Fraction(0)))
    return (hands + sum(by_place.values(), Fraction(0))) / 1000


def differences(published: dict[Key, dict[str, Any]], reckoned: dict[Key, dict[str, Any]]) -> dict[Key, Any]:
    """What is missing, too much, or not the same; numbers to the ninth decimal of each of some hundred days."""

    def alike(one: Any, other: Any) -> bool:
        if isinstance(one, float) and other is not None:
            return abs(one - float(other)) <= 1e-9 * abs(one) + 1e-7
        return bool(one == other)

    wrong: dict[Key, Any] = {
        key: {
            name: (published[key][name], value) for name, value in row.items() if not alike(published[key][name], value)
        }
        for key, row in reckoned.items()
        if key in published
    }
    wrong |= {
        key: "is published only" if key in published else "is missing" for key in published.keys() ^ reckoned.keys()
    }
    return {key: value for key, value in wrong.items() if value}


def rows_of(con: duckdb.DuckDBPyConnection, query: str) -> list[dict[str, Any]]:
    cursor = con.execute(query)
    names = [column[0] for column in cursor.description or []]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def years_before(day: date, years: int) -> date:
    """The same date years ago; of a 29 February the 28th where there is none."""
    last = monthrange(day.year - years, day.month)[1]
    return day.replace(year=day.year - years, day=min(day.day, last))


def exactly(value: float | None) -> Fraction | None:
    return None if value is None else Fraction(value)
