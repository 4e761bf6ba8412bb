"""Until when training in radiation protection holds: the models' own SQL, against the rule in plain Python."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import duckdb
import pytest
from dateutil.relativedelta import relativedelta
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.rendered_models import AS_OF, rendered, seed, table

YEARS = {"fr": 3, "de": 5, "ch": 5}  # stated here once more: what the law says, not what the seed says
days = st.integers(-400, 4000)
trainings = st.lists(st.fixed_dictionaries({"age": days, "lasts": st.none() | st.integers(0, 4000)}), max_size=4)


def status(jurisdiction: str, made: list[dict[str, Any]], **operator: Any) -> dict[str, Any]:
    """The row of the one operator of a site."""
    rows = [
        {"line": number, "operator_id": "OP", "course": f"C{number}", "completed_date": (done := days_ago(row["age"]))}
        | {"valid_until_date": None if row["lasts"] is None else done + timedelta(days=row["lasts"])}
        for number, row in enumerate(made)
    ]
    with duckdb.connect() as con:
        table(con, "stg_site", "jurisdiction varchar", [{"jurisdiction": jurisdiction}])
        dates = "works_from_date date, works_to_date date, rp_training_valid_until_date date"
        table(con, "stg_operator", f"operator_id varchar, specialty varchar, grade varchar, {dates}", [operator])
        table(
            con,
            "stg_training",
            "line integer, operator_id varchar, course varchar, completed_date date, valid_until_date date",
            rows,
        )
        requirement = "jurisdiction varchar, valid_years integer, valid_from date, valid_to date"
        table(
            con, "training_requirement", f"{requirement}, source varchar, status varchar", seed("training_requirement")
        )
        steps = [{"threshold_value": row["value"], **row} for row in seed("alert_rules")]
        table(con, "dim_alert_threshold", "rule varchar, threshold_value double", steps)
        con.execute(f"create view int_training as {rendered('int_training')}")
        (found,) = con.sql(rendered("fct_training_status")).fetchall()
        return dict(zip(con.sql(rendered("fct_training_status")).columns, found, strict=True))


def days_ago(number: int) -> date:
    return AS_OF - timedelta(days=number)


def last_days(jurisdiction: str, made: list[dict[str, Any]], register: date | None) -> list[date | None]:
    """Of each training that counts its last day; None where nothing states one."""
    ends: list[date | None] = [register] if register else []
    for row in made:
        done = days_ago(row["age"])
        if done > AS_OF:
            continue
        years = YEARS.get(jurisdiction)
        if row["lasts"] is not None:
            ends.append(done + timedelta(days=row["lasts"]))
        else:
            ends.append(done + relativedelta(years=years) if years else None)
    return ends


@given(st.sampled_from(["fr", "de", "ch", "eu", "us"]), trainings, st.none() | st.integers(-900, 900))
@settings(max_examples=60, deadline=None)
@example("eu", [{"age": 100, "lasts": None}], None)
@example("ch", [{"age": 100, "lasts": None}, {"age": 50, "lasts": 10}], None)
@example("de", [{"age": -1, "lasts": None}], None)
@example("eu", [], 0)
def test_the_training_that_holds_longest_decides(
    jurisdiction: str, made: list[dict[str, Any]], register: int | None
) -> None:
    valid = None if register is None else days_ago(register)
    found = status(jurisdiction, made, operator_id="OP", rp_training_valid_until_date=valid)

    ends = last_days(jurisdiction, made, valid)
    known = [end for end in ends if end]
    assert found["n_trainings"] == sum(days_ago(row["age"]) <= AS_OF for row in made)
    assert found["valid_until"] == (max(known) if known else None)
    if not ends:
        assert found["state"] == "not_recorded"
    elif not known:
        assert (found["state"], found["days_left"]) == ("no_expiry_known", None)
    else:
        left = (max(known) - AS_OF).days
        assert found["days_left"] == left
        assert found["state"] == ("expired" if left < 0 else "due" if left <= 90 else "valid")
    assert (found["validity_source"] == "requirement") == (found["validity_citation"] is not None)


@pytest.mark.parametrize(
    ("works_from", "works_to", "is_at_work"),
    [(None, None, True), (AS_OF, AS_OF, True), (days_ago(-1), None, False), (None, days_ago(1), False)],
)
def test_who_is_at_work(works_from: date | None, works_to: date | None, is_at_work: bool) -> None:
    found = status("eu", [], operator_id="OP", works_from_date=works_from, works_to_date=works_to)

    assert found["is_at_work"] is is_at_work


def test_each_term_has_its_source() -> None:
    rows = seed("training_requirement")

    assert {row["jurisdiction"]: int(row["valid_years"] or 0) for row in rows} == YEARS
    assert all(row["source"] and row["year"] and row["status"] in ("confirmed", "must_confirm") for row in rows)
