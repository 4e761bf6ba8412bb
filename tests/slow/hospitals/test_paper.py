"""The hospital of the paper, nine months of it: comparison within the class, and what it alerts to.

The figures are those of issue 23: what was seen before, and what must not come back.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest
from support import recomputed_patients as recomputed
from support.reckoning import Reckoning, differences, rows_of
from support.recomputed_comparison import comparison_differences

from orchestration.nightly import run_nightly
from orchestration.pages.operator_page import own_figures
from synthetic_hospital import write_hospital

AS_OF = date(2024, 9, 30)


@pytest.fixture(scope="module")
def paper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    site = tmp_path_factory.mktemp("paper") / "site"
    write_hospital(site, "paper")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("DOSELEDGER_KEY", "a key of the tests, long enough")
        result = run_nightly(site, AS_OF, lambda *_: None)
    assert result.outcome == "published", result.reasons
    assert result.folder
    with duckdb.connect(str(result.folder / "warehouse.duckdb"), read_only=True) as con:
        con.execute("set TimeZone = 'UTC'")
        yield con


@pytest.fixture(scope="module")
def reckoning(paper: duckdb.DuckDBPyConnection) -> Iterator[Reckoning]:
    """What is published of operators, once more from the raw badge rows."""
    folder = Path(one(paper, "select path from duckdb_databases() where path is not null")).parent
    with (
        duckdb.connect(str(folder.parents[2] / "build/doseledger.duckdb"), read_only=True) as raw,
        duckdb.connect(str(folder / "restricted/restricted.duckdb"), read_only=True) as published,
    ):
        for con in (raw, published):
            con.execute("set TimeZone = 'UTC'")
        yield Reckoning(raw, published, AS_OF)


def one(con: duckdb.DuckDBPyConnection, query: str) -> Any:
    """The single value of a query."""
    ((value,),) = con.execute(query).fetchall()
    return value


def test_every_comparison_is_what_a_recomputation_finds(paper: duckdb.DuckDBPyConnection) -> None:
    assert comparison_differences(paper, AS_OF) == {}


def test_every_warning_dose_and_limit_is_what_a_recomputation_finds(reckoning: Reckoning) -> None:
    for table, key, expected in (
        ("fct_operator_month", ("operator_id", "month"), reckoning.months),
        ("fct_operator_limit", ("operator_id", "quantity", "dose_window", "limit_rule"), reckoning.limits),
    ):
        published = {
            tuple(row[name] for name in key): row for row in rows_of(reckoning.published, f"from marts.{table}")
        }
        assert published
        assert differences(published, expected) == {}


def test_the_exposure_of_every_patient_is_what_a_recomputation_finds(paper: duckdb.DuckDBPyConnection) -> None:
    found = {
        (row["patient_key"], row["dose_window"]): row
        for row in recomputed.rows(paper, "from marts.fct_patient_exposure")
    }
    expected = recomputed.exposures(recomputed.rows(paper, "from marts.fct_study_dose"), AS_OF)
    assert found.keys() == expected.keys()
    assert len(found) > 1000
    for key, (n, without, total, peak) in expected.items():
        row = found[key]
        assert (row["studies"], row["studies_without_estimate"]) == (n, without), key
        assert row["effective_dose_estimate_msv"] == (None if total is None else pytest.approx(total))
        assert row["peak_msv"] == (None if peak is None else pytest.approx(peak))


def test_the_skin_of_every_patient_is_what_a_recomputation_finds(paper: duckdb.DuckDBPyConnection) -> None:
    """The dose of the skin of a sample of procedures, every follow-up and every finding."""
    sampled = "from marts.fct_irradiation_event where procedure_id like '0%'"  # a hash: one procedure in sixteen
    doses = {row["procedure_id"]: row for row in recomputed.rows(paper, "from marts.fct_skin_dose")}
    expected = recomputed.skin_doses(recomputed.rows(paper, sampled))
    assert {name for name in doses if name.startswith("0")} == expected.keys()
    assert len(expected) > 50
    for name, (peak, n_events, estimate, upper) in expected.items():
        row = doses[name]
        assert row["n_events_in_cap"] == n_events
        assert (row["peak_ka_r_mgy"], row["skin_dose_estimate_mgy"], row["skin_dose_upper_mgy"]) == pytest.approx(
            (peak, estimate, upper), rel=1e-9
        )
    steps = recomputed.rows(paper, "from alerts.alert where rule = 'patient_dose' and procedure_id is not null")
    states = dict(paper.execute("select procedure_id, state from marts.fct_skin_followup").fetchall())
    looks = paper.execute("select procedure_id, informed_on, seen_on, second_seen_on from marts.fct_skin_followup")
    register = {name: (informed, seen, again) for name, informed, seen, again in looks.fetchall() if informed or seen}
    assert states == recomputed.followup_states(steps, AS_OF, register)
    found = {(row["procedure_id"], row["step"]) for row in steps}
    assert found == recomputed.skin_findings(recomputed.rows(paper, recomputed.PROCEDURES))


def test_persistent_is_not_for_everybody(paper: duckdb.DuckDBPyConnection) -> None:
    """Row 9: it fired for 19 of 19 operators, 181 times."""
    assert 0 < one(paper, "select count(distinct operator_id) from alerts.persistent") <= 10
    assert one(paper, "select count(*) from alerts.persistent") <= 25


def test_the_share_of_the_c_arm_is_judged_within_class_and_role(paper: duckdb.DuckDBPyConnection) -> None:
    """Row 10: a class is not on the list in half of its procedures; those that nobody shields have a quarterly line."""
    highest = one(
        paper,
        "select max(share) from (select count(dose_to_c_arm.alert_id) / count(*) as share"
        " from marts.fct_operator_procedure join marts.fct_procedure using (procedure_id)"
        " left join alerts.dose_to_c_arm using (procedure_id, operator_id)"
        " where hp10_to_c_arm_percent is not null group by procedure_type having count(*) >= 50)",
    )
    assert highest < 0.35
    assert one(paper, "select count(*) from marts.fct_class_quarter where is_above_limit") >= 1


def test_advice_never_contradicts_the_main_cause(paper: duckdb.DuckDBPyConnection) -> None:
    """Row 11: 73 of 216 advices called a share usual that was above the class's third quartile."""
    pairs = set(
        paper.execute(
            "select distinct main_cause, advice_code from alerts.alert where main_cause not in ('none', 'mixed')"
        ).fetchall()
    )
    assert {("protection", "shield"), ("radiation", "technique")} <= pairs
    assert pairs <= {
        ("protection", "shield"),
        ("radiation", "technique"),
        ("geometry", "geometry"),
        ("c_arm_badge_or_room", "c_arm_badge_or_room"),
    }
    sentences = "select count(*) from marts.dim_advice where advice_code in ('shield', 'share_of_c_arm')"
    assert one(paper, f"{sentences} and regexp_matches(sentence, 'curtain|jupe|faldón')") == 0


def test_a_threshold_says_which_of_its_parts_decided(paper: duckdb.DuckDBPyConnection) -> None:
    """Row 12: 287 of 444 findings showed the floor as a third quartile."""
    compared = "from alerts.alert where rule in ('procedure_dose', 'dose_per_kap', 'dose_to_c_arm')"
    wrong = (
        " and threshold is distinct from"
        " case decided_by when 'third_quartile' then third_quartile when 'floor' then floor else 30 end"
    )
    assert one(paper, f"select count(*) {compared}") > 100
    assert one(paper, f"select count(*) {compared} {wrong}") == 0
    decided = dict(paper.execute(f"select decided_by, count(*) {compared} group by 1").fetchall())
    assert min(decided["floor"], decided["third_quartile"]) > 50


def test_second_operators_are_judged_among_themselves(paper: duckdb.DuckDBPyConnection) -> None:
    """Row 16: their doses are a fraction of a first operator's, and all were judged by the first operators'."""
    quartiles = dict(
        paper.execute(
            "select role_group, median(third_quartile) from alerts.dose_per_kap group by role_group"
        ).fetchall()
    )
    assert quartiles["assisting"] < quartiles["first_operator"]
    others = "from marts.fct_operator_procedure where role = 'second_operator' and role_group <> 'assisting'"
    assert one(paper, f"select count(*) {others}") == 0


def test_follow_ups_are_in_every_state(paper: duckdb.DuckDBPyConnection) -> None:
    """Issue 24: all were overdue, for the demo's register was empty."""
    states = dict(paper.execute("select state, count(*) from marts.fct_skin_followup group by state").fetchall())
    assert states.keys() >= {"open", "informed", "seen", "overdue"}
    assert states["overdue"] < sum(states.values()) / 2


def test_every_operator_with_dose_by_event_learns_which_beams_gave_it(paper: duckdb.DuckDBPyConnection) -> None:
    """Issue 24: no beam direction stood out, for the demo's dose did not depend on any."""
    people = paper.execute("select distinct operator_id from marts.fct_operator_event").fetchall()
    sides = {operator_id: own_figures(paper, operator_id, {}).main_side for (operator_id,) in people}
    assert len(sides) == 17
    assert {side and side.side for side in sides.values()} == {"lao"}


def test_the_department_has_no_statistics_by_role(paper: duckdb.DuckDBPyConnection) -> None:
    """One nurse's group is her dose: only medical physics sees rooms and classes by role group."""
    database = one(paper, "select path from duckdb_databases() where path is not null")
    copy = database.replace("warehouse.duckdb", "department/warehouse.duckdb")
    with duckdb.connect(copy, read_only=True) as con:
        tables = {name for (name,) in con.execute("select table_name from duckdb_tables()").fetchall()}
    assert tables == {"dose_statistics", "publication"}
