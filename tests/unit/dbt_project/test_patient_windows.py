"""Sums over windows of time and typical values: the models' own SQL on made-up studies, against plain Python.

The SQL is rendered as it stands, with tables of the same name in place of refs; no dbt build is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import numpy as np
import pytest
from dateutil.relativedelta import relativedelta
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jinja2 import Environment, StrictUndefined
from support import paths

MODELS = paths.DBT_PROJECT / "models" / "marts"
YEARS = {"1_year": 1, "3_years": 3, "5_years": 5, "all": None}
AS_OF = date(2024, 2, 29)

SPAN = 800  # days of history
days = st.integers(0, SPAN).map(lambda back: AS_OF - timedelta(days=back))
estimates = st.none() | st.decimals(0, 120, places=9)
studies = st.lists(st.tuples(st.sampled_from(["P1", "P2", None]), days, estimates), max_size=12)


def run(model: str, as_of: date, tables: Callable[[duckdb.DuckDBPyConnection], None]) -> list[dict[str, Any]]:
    """Rows of a model over the given tables."""
    template = Environment(undefined=StrictUndefined, autoescape=False).from_string(  # noqa: S701 - it makes SQL
        (MODELS / f"{model}.sql").read_text("utf-8")
    )
    query = template.render(ref=lambda name: name, as_of=lambda: f"date '{as_of}'")
    with duckdb.connect() as con:
        tables(con)
        result = con.execute(query)
        names = [column[0] for column in result.description or []]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def first_day(end: date, years: int | None) -> date:
    return date.min if years is None else end - relativedelta(years=years) + timedelta(days=1)


def total(found: list[tuple[date, Decimal | None]], begin: date, end: date) -> Decimal | None:
    inside = [dose for day, dose in found if begin <= day <= end]
    known = [dose for dose in inside if dose is not None]
    return sum(known, Decimal(0)) if known or not inside else None


@given(studies)
@settings(max_examples=15, deadline=None)
@example([("P1", date(2023, 3, 1), Decimal(60)), ("P1", date(2023, 2, 28), Decimal(40))])
@example([("P1", date(2022, 2, 28), Decimal(100)), ("P1", date(2023, 2, 28), Decimal(1))])
def test_exposure_is_what_a_look_at_every_day_gives(made: list[tuple[str | None, date, Decimal | None]]) -> None:
    def tables(con: duckdb.DuckDBPyConnection) -> None:
        con.execute("create table int_study_dose (study_key integer, patient_key varchar, study_date date)")
        con.execute(
            "create table int_study_effective_dose (study_key integer, effective_dose_estimate_msv decimal(18, 9))"
        )
        for key, (patient, day, dose) in enumerate(made):
            con.execute("insert into int_study_dose values (?, ?, ?)", [key, patient, day])
            con.execute("insert into int_study_effective_dose values (?, ?)", [key, dose])

    found = {(row["patient_key"], row["dose_window"]): row for row in run("fct_patient_exposure", AS_OF, tables)}
    patients = {patient for patient, _, _ in made if patient}
    assert found.keys() == {(patient, window) for patient in patients for window in YEARS}
    for (patient, window), row in found.items():
        own = [(day, dose) for name, day, dose in made if name == patient]
        begin = first_day(AS_OF, YEARS[window])
        inside = [dose for day, dose in own if begin <= day <= AS_OF]
        assert (row["studies"], row["studies_without_estimate"]) == (len(inside), inside.count(None))
        assert row["effective_dose_estimate_msv"] == as_float(total(own, begin, AS_OF))
        # Every day, not only those of studies: no window may hold more than the peak.
        ends = [AS_OF - timedelta(days=back) for back in range(SPAN + 1)]
        sums = [total(own, first_day(end, YEARS[window]), end) for end in ends]
        peak = max((value for value in sums if value), default=None)
        if peak is not None:
            assert row["peak_msv"] == as_float(peak)
        assert row["is_100_msv_or_more"] == (None if row["peak_msv"] is None else row["peak_msv"] >= 100)


def as_float(value: Decimal | None) -> float | None:
    return None if value is None else float(value)


@given(st.lists(st.floats(0, 500), min_size=1, max_size=25))
@settings(max_examples=15, deadline=None)
def test_quartiles_are_of_type_7_and_20_are_enough(values: list[float]) -> None:
    def tables(con: duckdb.DuckDBPyConnection) -> None:
        con.execute(
            "create table int_procedure (room_id varchar, procedure_type varchar, procedure_date date,"
            " patient_age_years integer, kap_gy_cm2 double, ka_r_mgy double, fluoro_time_s double)"
        )
        con.execute(
            "create table int_study_dose (modality varchar, room_id varchar, procedure_type varchar, study_date date,"
            " patient_age_years integer, ctdi_vol_mgy double, dlp_mgy_cm double)"
        )
        con.execute("create table stg_site as select 'eu' as jurisdiction")
        con.execute(
            "create table stg_drl as select null::varchar as jurisdiction, 'pci' as procedure_type, 'kap' as quantity,"
            " 100::decimal(18, 9) as drl_value, 2020 as drl_year, 'site' as drl_scope, 'Citation' as citation"
        )
        con.execute("create table diagnostic_reference_level as select *, drl_value as value, 1 as year from stg_drl")
        con.execute("create table alert_rules (rule varchar, name varchar, value double)")
        for name, value in (("min_reference", 20), ("reference_days", 365), ("min_age", 18)):
            con.execute("insert into alert_rules values ('reference_level', ?, ?)", [name, value])
        for one in values:
            con.execute("insert into int_procedure values ('R1', 'pci', ?, 60, ?, null, null)", [AS_OF, one])

    rows = run("fct_reference_level", AS_OF, tables)
    assert {row["room_id"] for row in rows} == {"R1", None}
    q1, median, q3 = np.quantile(values, [0.25, 0.5, 0.75])
    for row in rows:
        assert (row["quantity"], row["n"]) == ("kap", len(values))
        assert (row["q1"], row["median"], row["q3"]) == pytest.approx((q1, median, q3))
        above = "above" if row["median"] > 100 else "at_or_below"
        assert row["status"] == (above if len(values) >= 20 else "too_few")
