"""The department's copy under attack: no group that is too small can be seen, subtracted or bounded from what is told.

The model's own SQL is rendered as it stands, on made-up procedures, with tables of the same name in place of refs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import Environment, StrictUndefined
from scipy.optimize import linprog
from support import paths

PROJECT = paths.DBT_PROJECT
AS_OF = date(2024, 4, 15)  # so March is the last month that is over
VARIABLES = {"department_min_procedures": 20, "department_min_persons": 5, "department_months": 12}
MEASURES = (
    *("median_kap_gy_cm2", "q3_kap_gy_cm2", "median_ka_r_mgy", "median_fluoro_time_s"),
    *("median_hp10_usv", "q3_hp10_usv", "median_hp10_per_kap_usv_per_gy_cm2"),
)
TREES = {
    "month_room": ("month", "room"),
    "procedure_type_room": ("procedure_type", "room"),
    "operator_group_procedure_type": ("operator_group", "procedure_type"),
}


@dataclass(frozen=True)
class Done:
    """One operator in one procedure."""

    procedure: int
    day: date
    room: str
    procedure_type: str
    patient: str | None
    kap: float | None
    operator: str | None
    hp10: float | None

    @property
    def month(self) -> str:
        """As the copy writes it."""
        return f"{self.day:%Y-%m}"

    @property
    def operator_group(self) -> str:
        """Specialty and grade; empty without an operator."""
        return f"cardiology {GRADES[self.operator]}" if self.operator else ""


GRADES: dict[str | None, str] = {
    f"OP{number}": "consultant" if number < 8 else "trainee" if number < 12 else "nurse" for number in range(16)
}


def told(done: Iterable[Done]) -> list[dict[str, Any]]:
    """Rows of the department's copy."""
    macros = (PROJECT / "macros" / "department.sql").read_text("utf-8")
    model = (PROJECT / "models" / "department" / "dose_statistics.sql").read_text("utf-8")
    template = Environment(undefined=StrictUndefined, autoescape=False).from_string(macros + model)  # noqa: S701 - SQL
    query = template.render(ref=lambda name: name, var=VARIABLES.__getitem__, as_of=lambda: f"date '{AS_OF}'")
    procedures = {one.procedure: one for one in done}.values()
    with duckdb.connect(config={"threads": 1}) as con:
        con.execute(
            "create table fct_procedure (procedure_id varchar, procedure_date date, room_id varchar, procedure_type"
            " varchar, patient_key varchar, kap_gy_cm2 double, ka_r_mgy double, fluoro_time_s double);"
            "create table fct_operator_procedure (procedure_id varchar, operator_id varchar, hp10_usv double,"
            " hp10_per_kap_usv_per_gy_cm2 double);"
            "create table dim_operator (operator_id varchar, specialty varchar, grade varchar)"
        )
        _fill(con, "fct_procedure", [
            (str(one.procedure), one.day, one.room, one.procedure_type, one.patient, one.kap, one.kap, one.kap)
            for one in procedures
        ])  # fmt: skip
        _fill(con, "fct_operator_procedure", [
            (str(one.procedure), one.operator, one.hp10, one.hp10) for one in done if one.operator
        ])  # fmt: skip
        _fill(con, "dim_operator", [(operator, "cardiology", grade) for operator, grade in GRADES.items()])
        result = con.execute(query)
        names = [column[0] for column in result.description or []]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def _fill(con: duckdb.DuckDBPyConnection, table: str, rows: list[tuple[Any, ...]]) -> None:
    for row in rows[:1]:
        columns = [list(column) for column in zip(*rows, strict=True)]
        con.execute(f"insert into {table} select {', '.join(['unnest(?)'] * len(row))}", columns)


def is_large(done: Iterable[Done]) -> bool:
    found = list(done)
    return (
        len({one.procedure for one in found}) >= 20
        and len({one.operator for one in found} - {None}) >= 5
        and len({one.patient for one in found} - {None}) >= 5
    )


@st.composite
def hospitals(draw: st.DrawFn) -> list[Done]:
    """Groups of very different size; some rooms and classes belong to one person or to each other."""
    done: list[Done] = []
    number = 0
    for _ in range(draw(st.integers(1, 8))):
        month = draw(st.sampled_from([date(2024, 1, 1), date(2024, 2, 1), date(2024, 3, 1), date(2024, 4, 1)]))
        room = draw(st.sampled_from(["R1", "R2", "R3", "unknown"]))
        kind = draw(st.sampled_from(["CA", "PCI", "TACE"]))
        operators = draw(st.lists(st.sampled_from([*GRADES, None]), min_size=1, max_size=9, unique=True))
        has_patients = draw(st.booleans()) or draw(st.booleans())
        for position in range(draw(st.sampled_from([1, 3, 15, 19, 20, 21, 26, 45]))):
            number += 1
            patient = f"P{draw(st.integers(0, 40))}" if has_patients else None
            day = month + timedelta(days=position % 28)
            team = {operators[position % len(operators)], operators[(position * 3 + 1) % len(operators)]}
            kap, hp10 = 1 + number * 1.2345, (number * 7.7) % 90 if position % 3 else None
            done += [Done(number, day, room, kind, patient, kap, operator, hp10) for operator in sorted(team, key=str)]
    return done


def over(done: Iterable[Done], breakdown: str) -> list[Done]:
    """The records that a breakdown is about: of months that are over."""
    return [
        one
        for one in done
        if one.day < date(2024, 4, 1) and (breakdown != "operator_group_procedure_type" or one.operator)
    ]


@settings(max_examples=20, deadline=None)
@given(hospitals())
def test_every_difference_is_large(done: list[Done]) -> None:
    """An attacker who subtracts from any row all that is told below it is left with nothing, or with a large group."""
    rows = told(done)
    for breakdown, (branch, leaf) in TREES.items():
        own = [row for row in rows if row["breakdown"] == breakdown]
        everything = over(done, breakdown)
        if not own:
            assert not is_large(everything)
            continue
        named = {row[branch] for row in own} - {None, "others"}
        within: dict[str | None, list[Done]] = {
            name: [one for one in everything if getattr(one, branch) == name] for name in named
        }
        within["others"] = [one for one in everything if getattr(one, branch) not in named]
        for name, inside in within.items():
            assert not inside or is_large(inside), (breakdown, name)
            leaves = {row[leaf] for row in own if row[branch] == name} - {None, "others"}
            for value in leaves:
                assert is_large(one for one in inside if getattr(one, leaf) == value), (breakdown, name, value)
            rest = [one for one in inside if getattr(one, leaf) not in leaves]
            assert not rest or is_large(rest), (breakdown, name, "others")


@settings(max_examples=15, deadline=None)
@given(hospitals())
def test_counts_of_all_rows_together_pin_down_no_small_group(done: list[Done]) -> None:
    """Linear programming over every room, month and class: a small group's size stays unknown by five and more."""
    rows = [row for row in told(done) if row["breakdown"] != "operator_group_procedure_type"]
    everything = {one.procedure: one for one in over(done, "month_room")}.values()
    cells = sorted({(one.month, one.room, one.procedure_type) for one in everything})
    if not rows:
        return

    def inside(row: dict[str, Any], cell: tuple[str, str, str]) -> bool:
        values = dict(zip(("month", "room", "procedure_type"), cell, strict=True))
        branch, leaf = TREES[row["breakdown"]]
        own = [other for other in rows if other["breakdown"] == row["breakdown"]]
        branches = {other[branch] for other in own}
        at = values[branch] if values[branch] in branches else "others"
        leaves = {other[leaf] for other in own if other[branch] == at}
        below = values[leaf] if values[leaf] in leaves else "others"
        return row[branch] in (None, at) and row[leaf] in (None, below)

    matrix = np.array([[inside(row, cell) for cell in cells] for row in rows], dtype=float)
    low = np.array([row["procedures"] for row in rows], dtype=float)
    step = np.array([10 if row["procedures"] < 1000 else 100 for row in rows])
    limits = {"A_ub": np.vstack([matrix, -matrix]), "b_ub": np.concatenate([low + step - 1, -low])}
    true = Counter((one.month, one.room, one.procedure_type) for one in everything)
    assert (matrix @ np.array([true[cell] for cell in cells]) >= low).all()  # the attack's picture is right
    groups = [[cell] for cell in cells]
    groups += [
        [cell for cell in cells if cell[axis] == value] for axis in range(3) for value in {c[axis] for c in cells}
    ]
    for group in groups:
        if is_large(one for one in over(done, "month_room") if (one.month, one.room, one.procedure_type) in group):
            continue
        weights = np.array([cell in group for cell in cells], dtype=float)
        least, most = linprog(weights, **limits), linprog(-weights, **limits)
        assert least.success
        assert most.success
        assert -most.fun - least.fun >= 5, group


@settings(max_examples=10, deadline=None)
@given(hospitals())
def test_numbers_have_two_digits_and_enough_behind_them(done: list[Done]) -> None:
    for row in told(done):
        assert row["procedures"] >= 20
        assert row["procedures"] % 10 == 0
        for name in MEASURES:
            if row[name]:
                assert float(f"{row[name]:.1e}") == row[name], (name, row[name])
        if row["operator_group"] is not None:
            assert row["median_kap_gy_cm2"] is None


def test_a_small_room_takes_the_smallest_large_one_with_it() -> None:
    """Else the month's count minus the two large rooms would be the small one."""
    operators = list(GRADES)[:6]
    rooms = ["R1"] * 60 + ["R2"] * 40 + ["R3"] * 15
    done = [
        Done(n, date(2024, 3, 4), room, "CA", f"P{n % 50}", 10.0, operators[n % 6], 5.0) for n, room in enumerate(rooms)
    ]
    rows = [row for row in told(done) if row["breakdown"] == "month_room" and row["month"]]
    assert {row["room"]: row["procedures"] for row in rows} == {None: 110, "R1": 60, "others": 50}


def test_a_median_of_few_is_not_told_though_the_group_is_large() -> None:
    day = date(2024, 3, 4)
    operators = list(GRADES)[:6]
    done = [
        Done(number, day, "R1", "CA", f"P{number}", 10.0, operators[number % 6], 5.0 if number % 6 < 4 else None)
        for number in range(60)
    ]
    (row,) = [row for row in told(done) if row["breakdown"] == "month_room" and row["month"] and row["room"]]
    assert row["procedures"] == 60
    assert row["median_kap_gy_cm2"] == 10.0
    assert row["median_hp10_usv"] is None  # 40 procedures, but of four operators


def test_the_month_that_goes_on_is_not_told() -> None:
    operators = list(GRADES)[:6]
    done = [
        Done(number, date(2024, 4, 1), "R1", "CA", f"P{number}", 10.0, operators[number % 6], 5.0)
        for number in range(60)
    ]
    assert told(done) == []


@pytest.mark.parametrize(("value", "shown"), [(0.0, 0.0), (0.012345, 0.012), (9.96, 10.0), (1234.5, 1200.0)])
def test_two_significant_digits(value: float, shown: float) -> None:
    operators = list(GRADES)[:6]
    day = date(2024, 3, 4)
    done = [Done(n, day, "R1", "CA", f"P{n}", value, operators[n % 6], value) for n in range(24)]
    assert {row["median_hp10_usv"] for row in told(done) if row["room"]} == {shown}
