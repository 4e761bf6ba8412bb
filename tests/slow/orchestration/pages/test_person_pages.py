"""Medical physics' page of one person: everybody has one, with the own rows only, and nothing links into the void."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape

import duckdb
import pytest
from slow.orchestration.pages.conftest import Changed, Night
from slow.orchestration.pages.test_operator_page import EXPLAINED
from slow.orchestration.pages.test_published_pages import dangling

from orchestration.figures.operator import page_folder
from orchestration.pages.person import FINDINGS, PROCEDURES, person_figures, read_people


@pytest.fixture
def warehouse(night: Night) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(night.folder / "warehouse.duckdb", read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        yield connection


def test_everybody_has_a_page_that_people_leads_to(night: Night, warehouse: duckdb.DuckDBPyConnection) -> None:
    rows = warehouse.execute(
        "select operator_id from marts.dim_operator union select operator_id from marts.fct_operator_procedure"
    ).fetchall()
    pages = {f"{page_folder(operator_id)}.html" for (operator_id,) in rows}
    assert {page.name for page in (night.physics / "operators").iterdir()} == pages
    people = (night.physics / "people.html").read_text("utf-8")
    in_procedures = warehouse.execute("select distinct operator_id from marts.fct_operator_procedure").fetchall()
    assert in_procedures
    assert [who for (who,) in in_procedures if f'href="operators/{page_folder(who)}.html"' not in people] == []


def test_a_page_has_the_open_findings_of_its_person(night: Night, warehouse: duckdb.DuckDBPyConnection) -> None:
    rows = warehouse.execute("select operator_id, alert_id from alerts.alert where state = 'open'").fetchall()
    compared = 0
    for figures in person_figures(warehouse, read_people(warehouse)):
        own = {alert_id[:8] for operator_id, alert_id in rows if operator_id == figures.operator_id}
        html = (night.physics / "operators" / f"{page_folder(figures.operator_id)}.html").read_text("utf-8")
        shown = set(re.findall(r"<code>([0-9a-f]{8})</code>", html))
        assert shown <= own
        assert len(shown) == min(len(own), FINDINGS)
        assert len(figures.findings) == len(own)
        compared += len(shown)
    assert compared


def test_procedures_are_the_highest_against_usual_and_lead_to_pages_that_exist(changed: Changed) -> None:
    night = changed(
        EXPLAINED,
        "update marts.fct_dose_explanation set usual_hp10_usv = 7.5, hp10_ratio = 1 + (hash(procedure_id) % 1000) / 50",
    )
    assert dangling(night.physics) == []
    with duckdb.connect(night.folder / "warehouse.duckdb", read_only=True) as connection:
        pages = {row[0] for row in connection.execute("select procedure_id from marts.dim_procedure_page").fetchall()}
        rows = connection.execute(
            "select operator_id, procedure_id, hp10_ratio, hp10_usv from marts.fct_operator_procedure"
            " left join marts.fct_dose_explanation using (procedure_id, operator_id) where hp10_usv is not null"
        ).fetchall()
        everybody = list(person_figures(connection, read_people(connection)))
    linked = set()
    for figures in everybody:
        own = [row for row in rows if row[0] == figures.operator_id]
        expected = sorted(own, key=lambda row: (row[2] is None, -(row[2] or 0), -row[3], row[1]))[:PROCEDURES]
        assert [row.procedure_id for row in figures.procedures] == [row[1] for row in expected]
        html = (night.physics / "operators" / f"{page_folder(figures.operator_id)}.html").read_text("utf-8")
        (section,) = re.findall(r'<section aria-labelledby="procedures">.*?</section>', html, re.DOTALL)
        found = set(re.findall(r'href="\.\./procedures/([^"]+)\.html"', section))
        assert found == {row.procedure_id for row in figures.procedures} & pages
        linked |= found
    assert linked


def test_an_odd_operator_id_has_a_page_and_a_command_that_can_be_typed(changed: Changed) -> None:
    odd = "O'Neil ../x"
    one = "(select min(operator_id) from alerts.alert where state = 'open' and procedure_id is not null)"
    tables = ("fct_operator_procedure", "fct_operator_limit", "fct_operator_month")
    night = changed(
        f"set variable one = {one}",
        "update alerts.alert set operator_id = $$" + odd + "$$ where operator_id = getvariable('one')",
        *(f"update marts.{name} set operator_id = $${odd}$$ where operator_id = getvariable('one')" for name in tables),
    )
    assert dangling(night.physics) == []
    html = (night.physics / "operators" / f"{page_folder(odd)}.html").read_text("utf-8")
    assert f'href="operators/{page_folder(odd)}.html"' in (night.physics / "people.html").read_text("utf-8")
    commands = re.findall(r"<pre><code>(.*?)</code></pre>", html)
    assert [unescape(command) for command in commands] == [
        "doseledger alert list --site SITE --operator 'O'\"'\"'Neil ../x'"
    ]
