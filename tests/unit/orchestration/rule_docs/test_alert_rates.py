"""The page of alert rates: counts and chance as they can be worked out by hand, subsets as the literature has them."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from orchestration.rule_docs.alert_rates import (
    BEFORE,
    Comparison,
    Counts,
    RuleCount,
    chance_of_persistent,
    page,
    read_before,
    read_comparisons,
    read_counts,
    write_before,
)

CONTENT = """
    create schema marts; create schema alerts;
    create table alerts.alert as select * from (values
        ('procedure_dose', 'review', 'p1', 'A'), ('dose_per_kap', 'review', 'p1', 'A'),
        ('absolute_dose', 'notice', 'p1', 'A'), ('absolute_dose', 'review', 'p2', 'A'),
        ('persistent', 'review', 'p1', 'A')
    ) as t (rule, severity, procedure_id, operator_id);
    create table marts.fct_operator_month as
        select * from (values (3), (0), (5)) as t (procedures);
    create table marts.fct_procedure as select * from (values
        ('p1', 'radiology', 150.0), ('p2', 'radiology', 50.0), ('p3', 'cardiology', 120.0), ('p4', 'radiology', 130.0)
    ) as t (procedure_id, specialty, kap_gy_cm2);
    create table marts.fct_operator_procedure as select * from (values
        ('p1', 'first_operator', 150.0, 4.0), ('p2', 'first_operator', 250.0, 40.0),
        ('p3', 'first_operator', 300.0, 2.0),
        ('p4', 'first_operator', 10.0, null), ('p1', 'second_operator', 500.0, 90.0), ('p4', 'nurse', null, null)
    ) as t (procedure_id, role, hp10_usv, hp10_to_c_arm_percent);
"""


@pytest.fixture
def warehouse(tmp_path: Path) -> Path:
    path = tmp_path / "warehouse.duckdb"
    with duckdb.connect(path) as con:
        con.execute(CONTENT)
    return path


def test_findings_are_counted_by_rule_and_severity_against_months_and_doses(warehouse: Path) -> None:
    counts = read_counts(warehouse)
    assert RuleCount("absolute_dose", "notice", 1) in counts.rules
    # Two months with a procedure, five doses, one of which has findings that persistent counts.
    assert (counts.operator_months, counts.judged, counts.with_finding) == (2, 5, 1)


def test_published_figures_are_compared_in_their_subsets_and_with_first_operators(warehouse: Path) -> None:
    above_100, above_200, share = read_comparisons(warehouse)
    assert (above_100.n, above_100.measured) == (3, pytest.approx(200 / 3))
    assert (above_200.n, above_200.measured) == (3, pytest.approx(100 / 3))
    assert (share.n, share.measured) == (2, 3.0)  # p1 and p3: KAP above 100 Gy·cm²


@pytest.mark.parametrize(
    ("share", "chance"),
    [(0.0, 0.0), (1.0, 1.0), (0.5, 1 - (1 + 10 + 45) / 1024), (0.207, pytest.approx(0.339, abs=0.01))],
)
def test_chance_is_the_tail_of_three_in_ten(share: float, chance: float) -> None:
    assert chance_of_persistent(share) == chance


def test_what_was_before_is_kept_and_the_former_rule_fired_by_chance_at_29_percent_of_looks() -> None:
    before = read_before()
    assert BEFORE.read_text("utf-8") == write_before(before)
    assert (sum(row.findings for row in before.rules), before.judged, before.operator_months) == (2264, 4657, 171)
    assert round(chance_of_persistent(before.with_finding / before.judged), 2) == 0.29


def test_the_page_has_a_line_a_rule_and_a_dash_of_nothing() -> None:
    counts = Counts((RuleCount("absolute_dose", "notice", 3), RuleCount("absolute_dose", "review", 1)), 2, 10, 4)
    text = page(counts, Counts((), 2, 10, 4), [Comparison("doses above 100 µSv", "x", 8.4, 0, None)])
    assert "| `absolute_dose` | 4 (3 notice, 1 review) | 0 | 2.00 | 0.00 | none stated: fixed threshold |" in text
    assert "| doses above 100 µSv | x | 8.4 % |  | 0 |" in text
