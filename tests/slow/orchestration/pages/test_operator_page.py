"""An operator's own page: own rows, others as quartiles of enough people, and no word of who or which patient."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from statistics import median, quantiles

import duckdb
import pytest
from slow.orchestration.pages.conftest import Changed, Night

from orchestration.figures.operator import page_folder
from orchestration.pages.operator_page import WORST, highest_procedures, own_figures

SECRETS = (
    ("marts.fct_procedure", "procedure_id"),
    ("marts.fct_procedure", "accession_number"),
    ("marts.fct_procedure", "study_instance_uid"),
    ("marts.fct_procedure", "patient_key"),
    ("marts.dim_dosimeter", "dosimeter_serial"),
    ("marts.dim_operator", "operator_name"),
    ("marts.dim_operator", "email"),
)


def own_pages(night: Night) -> dict[str, str]:
    """Text of each operator's page by the name of its folder."""
    folders = sorted((night.folder / "pages" / "operators").iterdir())
    assert folders
    return {folder.name: (folder / "index.html").read_text("utf-8") for folder in folders}


def english(night: Night) -> list[str]:
    """Own pages of the people who read English."""
    found = [page for page in own_pages(night).values() if '<html lang="en">' in page]
    assert found
    return found


def values(night: Night, table: str, column: str) -> list[str]:
    with duckdb.connect(night.folder / "restricted/restricted.duckdb", read_only=True) as connection:
        found = connection.execute(f"select distinct {column} from {table} where {column} <> ''").fetchall()
    return [value for (value,) in found]


EXPLAINED = """
    insert into marts.fct_dose_explanation by name
    select procedure_id, operator_id, 3.0 as hp10_ratio, 'protection' as main_cause
    from marts.fct_operator_procedure
    where hp10_usv is not null
"""


def test_no_page_tells_of_another_person_a_patient_or_a_procedure(changed: Changed) -> None:
    """With the list of the three highest doses, for which the small hospital has too few procedures."""
    night = changed(EXPLAINED)
    people = values(night, "marts.dim_operator", "operator_id")
    pages = own_pages(night)
    assert set(pages) == set(people)
    assert any("<li>" in page for page in pages.values())
    for operator_id, page in pages.items():
        assert operator_id in page
        others = [who for who in people if who != operator_id and re.search(rf"\b{re.escape(who)}\b", page)]
        assert others == [], operator_id
    for table, column in SECRETS:
        secrets = values(night, table, column)
        found = [
            secret for secret in secrets for page in pages.values() if re.search(rf"\b{re.escape(secret)}\b", page)
        ]
        assert found == [], column


def test_no_page_leads_to_a_page_of_medical_physics(night: Night) -> None:
    for page in own_pages(night).values():
        links = re.findall(r'(?:href|src)="([^"#]*)"', page)
        assert {link for link in links if link} == {"data:,", "static/style.css", "static/tables.js"}


def test_a_restricted_finding_is_on_no_own_page(changed: Changed) -> None:
    night = changed(
        "update marts.fct_operator_limit set dose_window = 'pregnancy', dose_low_msv = 77.77, warning_fraction = 0.777"
    )
    for page in own_pages(night).values():
        assert not re.search(r"77[.,]77|77[.,]7\s%|pregnancy", page)


def test_a_class_is_the_own_median_beside_quartiles_of_enough_others(night: Night) -> None:
    with duckdb.connect(night.folder / "warehouse.duckdb", read_only=True) as connection:
        rows = connection.execute(
            "select operator_id, procedure_type, role_group, hp10_usv from marts.fct_operator_procedure"
            " join marts.fct_procedure using (procedure_id) where hp10_usv is not null"
            " and procedure_type <> 'unclassified' and coalesce(patient_age_years, 18) >= 18"
        ).fetchall()
        compared = 0
        for operator_id in {row[0] for row in rows}:
            found = own_figures(connection, operator_id, {}).classes
            assert len(found) == len({row[1:3] for row in rows if row[0] == operator_id})
            for row in found:
                of_class = [other for other in rows if other[1:3] == (row.procedure_type, row.role_group)]
                own = [other[3] for other in of_class if other[0] == operator_id]
                others = [other for other in of_class if other[0] != operator_id]
                assert (row.n, row.median_usv) == (len(own), pytest.approx(median(own)))
                if len(others) >= 20 and len({other[0] for other in others}) >= 5:
                    expected = quantiles([other[3] for other in others], n=4, method="inclusive")
                    assert row.others is not None
                    found_usv = (row.others.q1_usv, row.others.median_usv, row.others.q3_usv)
                    assert found_usv == pytest.approx(tuple(expected))
                    assert row.others.procedures == len(others)
                    compared += 1
                else:
                    assert row.others is None
    assert compared


def test_four_other_people_are_too_few(changed: Changed) -> None:
    """Whatever the number of procedures: of few people one could tell whose dose the quartiles are."""
    night = changed(
        "update marts.fct_procedure set procedure_type = 'pci'",
        "update marts.fct_operator_procedure set role_group = 'first_operator',"
        " operator_id = 'P' || (hash(procedure_id, operator_id) % 5)::varchar",
    )
    with duckdb.connect(night.folder / "warehouse.duckdb", read_only=True) as connection:
        others = "from marts.fct_operator_procedure where operator_id <> 'P0' and hp10_usv is not null"
        rows, people = connection.execute(f"select count(*), count(distinct operator_id) {others}").fetchall()[0]
        assert rows >= 20
        assert people == 4
        classes = own_figures(connection, "P0", {}).classes
        assert classes
        assert {row.others for row in classes} == {None}


def test_directions_share_the_whole_dose_and_radiation(night: Night) -> None:
    with duckdb.connect(night.folder / "warehouse.duckdb", read_only=True) as connection:
        some = 0
        for operator_id in values(night, "marts.dim_operator", "operator_id"):
            directions = own_figures(connection, operator_id, {}).directions
            if directions:
                some += 1
                assert sum(row.dose_share for row in directions) == pytest.approx(1)
                assert sum(row.radiation_share for row in directions) == pytest.approx(1)
        assert some


def test_the_page_is_in_the_language_of_the_person(changed: Changed) -> None:
    night = changed(language="fr")
    with duckdb.connect(night.folder / "restricted/restricted.duckdb", read_only=True) as connection:
        languages = dict(connection.execute("select operator_id, language from marts.dim_operator").fetchall())
    for operator_id, page in own_pages(night).items():
        assert f'<html lang="{languages[operator_id] or "fr"}">' in page
        assert "{" not in unescape(re.sub(r"<[^>]+>", " ", page))


@pytest.mark.parametrize("operator_id", ["../../x", "a/b", ".", "..", "", "é", "x" * 300, "a b", ".hidden"])
def test_an_odd_operator_id_is_a_plain_folder(operator_id: str) -> None:
    folder = page_folder(operator_id)
    assert Path(folder).name == folder
    assert re.fullmatch(r"[0-9a-f]{32}", folder)


@pytest.mark.parametrize(
    ("high", "written"),
    [("0.126", "0.126"), ("0.42", "0.13, at most 0.42"), ("null", "0.13, in part below detection (limit not stated)")],
)
def test_a_dose_in_part_below_detection_is_never_one_number(changed: Changed, high: str, written: str) -> None:
    night = changed(
        f"update marts.fct_operator_limit set dose_low_msv = 0.126, dose_high_msv = {high}, warning_dose_msv = 0.126,"
        " dose_window = 'calendar_year', warning_fraction = 0.3",
    )
    found = [text for page in english(night) for text in re.findall(r'<td class="num range">(.*?)</td>', page)]
    assert set(found) == {written}
    people = (night.physics / "people.html").read_text("utf-8")
    assert ("or more" in people) == (high != "0.126")


@pytest.mark.parametrize(
    ("interval", "words"),
    [
        ("ci_low = 0.4, ci_high = 0.7", "Less of the"),
        ("ci_low = 1.2, ci_high = 3", "More of the"),
        ("ci_low = 0.9, ci_high = 1.2", "no clear difference"),
    ],
)
def test_the_protection_ratio_is_explained_in_words(changed: Changed, interval: str, words: str) -> None:
    night = changed(
        "insert into marts.fct_operator_protection by name select operator_id, 'first_operator' as role_group,"
        " 'rolling_12_months' as period, (select max(as_of) from ledger.publication) as period_begin, 30 as n,"
        " 1.0 as protection_ratio, 100.0 as hp10_usv from marts.dim_operator",
        f"update marts.fct_operator_protection set {interval}",
    )
    for page in english(night):
        assert words in unescape(re.findall(r'<p class="lead">(.*?)</p>', page, re.S)[0])


def test_a_badge_without_dose_by_event_is_not_said_to_have_no_direction(night: Night, changed: Changed) -> None:
    """No dose by event is no knowledge of directions."""
    assert any("Left oblique beams (LAO) gave" in page for page in english(night))
    for page in english(changed("delete from marts.fct_operator_event")):
        assert "Your badge gives no dose by beam direction" in page
        assert "No beam direction stands out" not in page


def test_the_highest_procedures_are_the_own_of_31_days_with_the_own_badge_and_the_c_arm_only(night: Night) -> None:
    with duckdb.connect(night.folder / "warehouse.duckdb", read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        procedures = highest_procedures(connection)
        drawn = 0
        for operator_id in values(night, "marts.dim_operator", "operator_id"):
            expected = connection.execute(
                "select hp10_usv from marts.fct_operator_procedure as doses"
                " join marts.fct_procedure using (procedure_id)"
                " left join marts.fct_dose_explanation as explained"
                " on doses.procedure_id = explained.procedure_id and doses.operator_id = explained.operator_id"
                " where doses.operator_id = ? and hp10_usv is not null"
                " and procedure_date > (select max(as_of) from ledger.publication) - 31"
                " order by hp10_ratio desc nulls last, hp10_usv desc, doses.procedure_id limit ?",
                [operator_id, WORST],
            ).fetchall()
            worst = own_figures(connection, operator_id, procedures).worst
            assert [(row.hp10_usv,) for row in worst] == expected
            for row in worst:
                assert row.timeline is not None
                assert {badge.wearer for badge in row.timeline.badges} <= {"", operator_id}
                assert {person.operator_id for person in row.timeline.case.people} == {operator_id}
                assert {wearer for event in row.timeline.events for wearer in event.doses} <= {"", operator_id}
                assert row.timeline.case.accession_number is row.timeline.age_years is None
                own = [badge for badge in row.timeline.lanes if badge.wearer == operator_id]
                drawn += bool(own)
                assert sum(badge.dose_usv for badge in own) <= row.hp10_usv + 1e-6
        assert drawn


def test_every_window_of_a_limit_is_on_the_page(night: Night) -> None:
    with duckdb.connect(night.folder / "warehouse.duckdb", read_only=True) as connection:
        for operator_id in values(night, "marts.dim_operator", "operator_id"):
            expected = connection.execute(
                "select quantity, dose_window, limit_msv from marts.fct_operator_limit where operator_id = ?"
                " and dose_window <> 'pregnancy' and warning_fraction is not null",
                [operator_id],
            ).fetchall()
            limits = own_figures(connection, operator_id, {}).limits
            assert sorted((row.quantity, row.dose_window, row.limit_msv) for row in limits) == sorted(expected)
            assert [row.quantity for row in limits] == sorted(
                (row.quantity for row in limits), key=[row.quantity for row in limits].index
            )


LEARNING = (
    "update marts.fct_procedure set procedure_type = 'pci'",
    "update marts.fct_operator_procedure set role_group = 'first_operator',"
    " operator_id = 'P' || (hash(procedure_id, operator_id) % {people})::varchar",
    "insert into marts.dim_operator by name select 'P' || n as operator_id,"
    " case when n = 0 then 'trainee' else 'consultant' end as grade from range({people}) as people(n)",
)


def test_a_trainee_is_beside_the_median_of_consultants(changed: Changed) -> None:
    night = changed(*(statement.format(people=6) for statement in LEARNING))
    with duckdb.connect(night.folder / "warehouse.duckdb", read_only=True) as connection:
        rows = connection.execute(
            "select operator_id, date_trunc('quarter', procedure_date)::date, hp10_usv"
            " from marts.fct_operator_procedure join marts.fct_procedure using (procedure_id)"
            " where hp10_usv is not null and coalesce(patient_age_years, 18) >= 18"
        ).fetchall()
        usual = median(dose for operator_id, _, dose in rows if operator_id != "P0")
        learning = own_figures(connection, "P0", {}).learning
        assert [row.quarter for row in learning] == sorted({row[1] for row in rows if row[0] == "P0"})
        for row in learning:
            own = [dose / usual for operator_id, quarter, dose in rows if (operator_id, quarter) == ("P0", row.quarter)]
            assert (row.n, row.median) == (len(own), pytest.approx(median(own)))
        consultant = own_figures(connection, "P1", {})
        assert (consultant.is_trainee, consultant.learning) == (False, ())


def test_four_consultants_are_too_few_for_a_trainee(changed: Changed) -> None:
    night = changed(*(statement.format(people=5) for statement in LEARNING))
    with duckdb.connect(night.folder / "warehouse.duckdb", read_only=True) as connection:
        figures = own_figures(connection, "P0", {})
        assert (figures.is_trainee, figures.learning) == (True, ())
