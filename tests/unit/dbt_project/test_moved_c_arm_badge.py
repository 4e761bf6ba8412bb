"""A badge on the C-arm that was moved: found once, and no protection is judged by it; the models' own SQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from math import exp, log
from statistics import fmean

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.rendered_models import AS_OF, rendered, table

N_RECENT, REFERENCE_DAYS = 5, 100
FIRST = AS_OF - timedelta(days=300)


def database(outside: Sequence[bool], factors: Sequence[tuple[str, int, float]] = ()) -> duckdb.DuckDBPyConnection:
    """A room with one procedure a day, outside the tolerance or not; factors of one operator by room, day and value."""
    con = duckdb.connect()
    levels = [
        {
            "room_id": "R1",
            "procedure_date": FIRST + timedelta(days=number),
            "procedure_no": number,
            "first_date": FIRST + timedelta(days=number - N_RECENT + 1),
            "recent_median": 6.0,
            "reference_median": 10.0,
            "n_reference": 30,
            "difference_percent": 40.0,
            "is_outside": is_outside,
        }
        for number, is_outside in enumerate(outside)
    ]
    table(
        con,
        "int_c_arm_level",
        "room_id varchar, procedure_date date, procedure_no integer, first_date date, recent_median double,"
        " reference_median double, n_reference integer, difference_percent double, is_outside boolean",
        levels,
    )
    table(
        con,
        "int_rule_threshold",
        "rule varchar, name varchar, threshold_value double",
        [{"rule": "data_quality", "name": "c_arm_recent", "threshold_value": N_RECENT}],
    )
    table(
        con,
        "comparison_thresholds",
        "name varchar, value double",
        [{"name": "reference_days", "value": REFERENCE_DAYS}, {"name": "min_kap", "value": 1}],
    )
    table(
        con,
        "int_dose_factor",
        "procedure_id varchar, operator_id varchar, role_group varchar, room_id varchar, procedure_date date,"
        " hp10_usv decimal(18,9), log_protection_factor decimal(18,15)",
        [
            {
                "procedure_id": f"{room}{number}",
                "operator_id": "OP",
                "role_group": "first_operator",
                "room_id": room,
                "procedure_date": FIRST + timedelta(days=day),
                "hp10_usv": 10,
                "log_protection_factor": log(factor),
            }
            for number, (room, day, factor) in enumerate(factors)
        ],
    )
    for model in ("int_quality_c_arm_drift", "int_moved_c_arm_badge", "int_operator_protection"):
        con.execute(f"create table {model} as {rendered(model)}")
    return con


def runs(outside: Sequence[bool]) -> list[range]:
    """The procedures of each time outside, in plain Python."""
    found, begin = [], None
    for number, is_outside in enumerate([*outside, False]):
        if is_outside and begin is None:
            begin = number
        if not is_outside and begin is not None:
            found.append(range(begin, number))
            begin = None
    return found


@given(st.lists(st.booleans(), max_size=30))
def test_it_is_found_when_it_leaves_and_was_moved_when_it_stays(outside: list[bool]) -> None:
    with database(outside) as con:
        drifts = con.execute("select occurred_on from int_quality_c_arm_drift order by 1").fetchall()
        moved = con.execute("select from_date, to_date from int_moved_c_arm_badge order by 1").fetchall()
    assert drifts == [(day(run[0]),) for run in runs(outside)]
    stayed = [day(run[0] - N_RECENT + 1) for run in runs(outside) if len(run) >= N_RECENT]
    assert moved == [(begin, begin + timedelta(days=REFERENCE_DAYS)) for begin in stayed]


def day(number: int) -> date:
    return FIRST + timedelta(days=number)


def test_protection_is_not_judged_by_a_moved_badge() -> None:
    """Below 0.6 of its former dose, the badge makes each person of the room look 1.67 times less protected."""
    usual = [("R1", number, 1.0) for number in range(10)]
    moved = [("R1", number, 1 / 0.6) for number in range(20, 60)]
    elsewhere = [("R2", number, 1.2) for number in range(20, 40)]
    again = [("R1", 16 + REFERENCE_DAYS, 0.9)]  # the reference set has nothing of before
    outside = [20 <= number < 25 for number in range(60)]
    with database(outside, [*usual, *moved, *elsewhere, *again]) as con:
        found = con.execute(
            "select n, log_mean, hp10_usv from int_operator_protection where period = 'rolling_12_months'"
        ).fetchall()
    kept = [factor for _, _, factor in (*usual, *elsewhere, *again)]
    assert [(n, float(dose)) for n, _, dose in found] == [(len(kept), 10.0 * len(kept))]
    assert exp(found[0][1]) == pytest.approx(exp(fmean(map(log, kept))))


def test_a_short_time_outside_is_no_move() -> None:
    factors = [("R1", number, 1.5) for number in range(30)]
    with database([20 <= number < 24 for number in range(60)], factors) as con:
        assert con.execute("select count(*) from int_moved_c_arm_badge").fetchone() == (0,)
        assert con.execute("select distinct n from int_operator_protection where period <> 'quarter'").fetchall() == [
            (30,)
        ]
