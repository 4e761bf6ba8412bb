"""Warning dose of days under passive results: the model's own SQL on made-up badges, and what holds of a wear period.

The SQL is rendered as it stands, with tables of the same name in place of refs; no dbt build is needed.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import duckdb
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jinja2 import Environment, StrictUndefined
from support import paths

MODEL = paths.DBT_PROJECT / "models/intermediate/operators/int_operator_day.sql"
FIRST_DAY = date(2024, 2, 27)

# Electronic dose of a day; None: no record. From 1e-9 to more than any badge shows.
readings = st.none() | st.decimals(0, 10_000_000, places=9)
# Days of a wear period, the passive share of each, and the same with the limit of detection; None: limit not stated.
shares = st.decimals(0, 1_000_000, places=9)
results = st.none() | st.tuples(shares, st.none() | shares)
periods = st.lists(st.tuples(results, st.lists(readings, min_size=1, max_size=40)), min_size=1, max_size=4)
Period = tuple[tuple[Decimal, Decimal | None] | None, list[Decimal | None]]


def rendered() -> str:
    """The model with its macros, and tables in place of refs."""
    macros = (paths.DBT_PROJECT / "macros/quantities.sql").read_text("utf-8")
    template = Environment(undefined=StrictUndefined, autoescape=False).from_string(  # noqa: S701 - it makes SQL
        macros + MODEL.read_text("utf-8")
    )
    return template.render(ref=lambda name: name)


QUERY = rendered()


def days_of(made: list[Period]) -> list[dict[str, Any]]:
    """Rows of the model for one person and place; wear periods follow one another."""
    columns = "operator_id varchar, dose_date date, place varchar, worn_at varchar, dose_usv decimal(18, 9)"
    with duckdb.connect() as con:
        con.execute(f"create table int_electronic_day ({columns})")
        con.execute(f"create table int_passive_day ({columns}, high_usv decimal(18, 9), result_key bigint)")
        day = FIRST_DAY
        for key, (result, electronic) in enumerate(made):
            for reading in electronic:
                name = ("OP1", day, "over_apron", "over_apron_collar")
                if reading is not None:
                    con.execute("insert into int_electronic_day values (?, ?, ?, ?, ?)", [*name, reading])
                if result is not None:
                    con.execute("insert into int_passive_day values (?, ?, ?, ?, ?, ?, ?)", [*name, *result, key])
                day += timedelta(days=1)
        found = con.execute(QUERY)
        names = [column[0] for column in found.description or []]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


@given(periods)
@settings(max_examples=60, deadline=None)
@example([((Decimal(0), None), [Decimal(100), None, Decimal(6)])])
@example([((Decimal("0.000000001"), Decimal(2)), [Decimal(0), None])])
@example([((Decimal("1.000000001"), Decimal("1.000000001")), [Decimal(1), Decimal(1), Decimal(1)])])
def test_a_wear_period_adds_up_to_the_higher_badge_and_no_day_falls_below_its_electronic_one(
    made: list[Period],
) -> None:
    by_result: dict[int | None, list[dict[str, Any]]] = defaultdict(list)
    for row in days_of(made):
        by_result[row["result_key"]].append(row)
        assert row["warning_usv"] >= (row["electronic_usv"] or 0)
    for row in by_result.pop(None, []):
        assert row["warning_usv"] == row["warning_high_usv"] == row["electronic_usv"] == row["dose_usv"]
        assert row["warning_source"] == "electronic"
    assert by_result.keys() == {key for key, (result, _) in enumerate(made) if result is not None}
    for key, rows in by_result.items():
        assert key is not None
        result, electronic = made[key]
        assert result is not None
        share, high = result
        e = sum((reading for reading in electronic if reading is not None), Decimal(0))
        p = share * len(electronic)
        assert sum(row["warning_usv"] for row in rows) == max(p, e)
        highs = [row["warning_high_usv"] for row in rows]
        assert highs == [None] * len(rows) if high is None else sum(highs) == max(high * len(electronic), e)
        assert {row["warning_source"] for row in rows} == {"passive" if p > e or not e else "electronic"}
        if not e:
            assert {row["warning_usv"] for row in rows} == {share}
