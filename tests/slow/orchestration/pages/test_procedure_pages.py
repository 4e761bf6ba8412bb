"""Today and the pages of procedures: their numbers are those of the published tables, for odd procedures too."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser

import duckdb
import pytest
from slow.orchestration.pages.conftest import Changed, Night

from orchestration.pages.procedure_figures import C_ARM, ProcedureFigures, read_procedures


class Text(HTMLParser):
    """The words of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []

    def handle_data(self, data: str) -> None:
        """Collect what is written."""
        self.words.append(data.strip())


def words(html: str) -> str:
    text = Text()
    text.feed(html)
    return " ".join(filter(None, text.words))


@pytest.fixture
def warehouse(night: Night) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(night.folder / "warehouse.duckdb", read_only=True) as con:
        con.execute("set TimeZone = 'UTC'")
        yield con


@pytest.fixture
def procedures(warehouse: duckdb.DuckDBPyConnection) -> list[ProcedureFigures]:
    ids = [row[0] for row in warehouse.execute("select procedure_id from marts.dim_procedure_page").fetchall()]
    return read_procedures(warehouse, ids)


def test_exactly_the_procedures_of_the_table_have_a_page(night: Night, warehouse: duckdb.DuckDBPyConnection) -> None:
    ids = {row[0] for row in warehouse.execute("select procedure_id from marts.dim_procedure_page").fetchall()}
    assert ids
    assert {page.stem for page in (night.physics / "procedures").glob("*.html")} == ids


def test_a_procedure_has_a_page_for_the_reasons_of_the_contract(warehouse: duckdb.DuckDBPyConnection) -> None:
    reasons = """
        select procedure_id from alerts.alert, (select max(as_of) as as_of from ledger.publication)
        where procedure_id is not null and state = 'open' and (severity = 'urgent' or occurred_on > as_of - 31)
        union
        select procedure_id from marts.fct_skin_followup where due_on is not null and state <> 'seen'
        union
        select procedure_id from (
            from marts.fct_operator_procedure
            inner join marts.fct_procedure using (procedure_id)
            left join marts.fct_dose_explanation as explained using (procedure_id, operator_id)
            where procedure_date > (select max(as_of) from ledger.publication) - 31 and hp10_usv is not null
            qualify row_number() over (
                partition by operator_id order by hp10_ratio desc nulls last, hp10_usv desc, procedure_id
            ) <= 3
        )
    """
    assert warehouse.execute(f"({reasons}) except select procedure_id from marts.dim_procedure_page").fetchall() == []
    assert warehouse.execute(f"select procedure_id from marts.dim_procedure_page except ({reasons})").fetchall() == []


def test_links_of_a_badge_add_up_to_the_dose_of_the_procedure(procedures: list[ProcedureFigures]) -> None:
    compared = 0
    for figures in procedures:
        for badge in figures.lanes:
            stated = badge.person.hp10_usv if badge.person else figures.case.c_arm_usv
            assert badge.dose_usv == pytest.approx(stated or 0, abs=1e-6)
            assert sum(part.dose_usv for part in badge.bins) == pytest.approx(badge.dose_usv - badge.untimed_usv)
            compared += 1
    assert compared > len(procedures)


def test_every_event_of_a_procedure_is_on_its_page_with_the_dose_it_gave(
    procedures: list[ProcedureFigures], warehouse: duckdb.DuckDBPyConnection
) -> None:
    published = {
        (uid, operator_id): dose
        for uid, operator_id, dose in warehouse.execute(
            "select irradiation_event_uid, operator_id, hp10_usv from marts.fct_operator_event where hp10_usv > 0"
        ).fetchall()
    }
    assert all(len(figures.events) == figures.case.irradiation_events for figures in procedures)
    found = {
        (event.uid, wearer): dose
        for figures in procedures
        for event in figures.events
        for wearer, dose in event.doses.items()
        if wearer != C_ARM
    }
    assert found
    assert {key: published[key] for key in found} == pytest.approx(found)


def test_every_timed_record_and_beam_lies_on_the_timeline(procedures: list[ProcedureFigures]) -> None:
    for figures in procedures:
        for event in figures.events:
            if event.started_at:
                assert 0 <= figures.place(figures.on_badge_clock(event.started_at)) <= 100


def test_a_finding_is_on_its_page_with_the_command_that_answers_it(
    night: Night, warehouse: duckdb.DuckDBPyConnection
) -> None:
    rows = warehouse.execute(
        "select procedure_id, alert_id, accession_number from alerts.alert"
        " where state = 'open' and procedure_id in (select procedure_id from marts.dim_procedure_page)"
    ).fetchall()
    assert rows
    for procedure_id, alert_id, accession_number in rows:
        html = (night.physics / "procedures" / f"{procedure_id}.html").read_text("utf-8")
        assert alert_id[:8] in html
        assert f"doseledger alert close procedure:{procedure_id}" in html
        assert accession_number is None or accession_number in html


def test_the_way_back_names_every_file_and_its_lines(night: Night, warehouse: duckdb.DuckDBPyConnection) -> None:
    rows = warehouse.execute(
        "select procedure_id, path, min(line), max(line) from marts.fct_dose_link"
        " inner join ledger.file using (load_seq) group by procedure_id, dosimeter_serial, path"
    ).fetchall()
    assert rows
    for procedure_id, path, first, last in rows:
        html = (night.physics / "procedures" / f"{procedure_id}.html").read_text("utf-8")
        assert path in html
        assert (f"{first}–{last}" if first != last else f">{first}<") in html


ONE = "(select min(operator_id) from {table})"
EVERY_KIND = (
    "insert into marts.fct_skin_followup by name"
    " select procedure_id, 'examine' as need from marts.fct_procedure limit 9",
    "update marts.fct_skin_followup set state = 'overdue', due_on = '2024-04-01'",
    "update marts.fct_skin_followup set state = 'open', due_on = '2024-05-20'"
    " where procedure_id = (select min(procedure_id) from marts.fct_skin_followup)",
    "delete from marts.fct_operator_protection",
    "insert into marts.fct_operator_protection by name select * from (values ('CD01', 1.2), ('CD02', 0.8))"
    " as rows(operator_id, ci_low), (select 'first_operator' as role_group, 'rolling_12_months' as period,"
    " date '2023-05-01' as period_begin, date '2024-04-30' as period_end, 25 as n, 1.5 as protection_ratio,"
    " 2.0 as ci_high, 900.0 as hp10_usv)",
    "update marts.fct_operator_limit set warning_fraction = 0.1, projected_fraction = null",
    "update marts.fct_operator_limit set limit_msv = 20, warning_dose_msv = 17.8, warning_fraction = 0.89,"
    f" projected_fraction = 1.19 where operator_id = {ONE.format(table='marts.fct_operator_limit')}"
    " and quantity = 'lens' and dose_window = 'calendar_year'",
)


def test_today_counts_what_the_tables_have(changed: Changed) -> None:
    night = changed(*EVERY_KIND)
    today = words((night.physics / "index.html").read_text("utf-8"))
    with duckdb.connect(night.folder / "warehouse.duckdb", read_only=True) as con:

        def count(query: str) -> int:
            ((number,),) = con.execute(query).fetchall()
            return int(number)

        cases = count("select count(distinct procedure_id) from alerts.alert where occurred_on > '2024-03-30'")
        skin = count("select count(*) from marts.fct_skin_followup")
    assert skin > 1
    assert f"{cases} procedures of the last 31 days have open findings" in today
    assert re.search(rf"\b{skin} patients Skin to follow up {skin - 1} overdue, 1 still in time", today)
    assert re.search(r"\b1 of \d+ people Less protection than usual", today)
    assert "1 person receives more of the C-arm's dose" in today
    assert re.search(r"17\.8 23\.8", today)  # received, then projected, mSv
    assert "17.8 of 20 mSv" in today


ODD = {
    "nothing measured": ["delete from marts.fct_dose_link"],
    "no angle, no time": [
        "update marts.fct_irradiation_event set primary_angle_deg = null, secondary_angle_deg = null,"
        " started_at = null, duration_s = null, kap_gy_cm2 = null, ka_r_mgy = null"
    ],
    "no events": ["delete from marts.fct_irradiation_event"],
    "no people": ["delete from marts.fct_operator_procedure", "delete from marts.fct_dose_explanation"],
    "no procedure facts": [
        "update marts.fct_procedure set started_at = null, ended_at = null, accession_number = null, kap_gy_cm2 = null,"
        " ka_r_mgy = null, fluoro_time_s = null, c_arm_dose_usv = null, clock_offset_s = null"
    ],
    "no clock": ["update ledger.clock_offset set offset_s = null, uncertainty_s = null, correlation = null"],
    "lateral plane": ["update marts.fct_irradiation_event set plane = 'B', primary_angle_deg = 100"],
    "everything at once": ["update marts.fct_irradiation_event set started_at = timestamptz '2024-04-01 08:00:00+00'"],
    "a zero dose": ["update marts.fct_dose_explanation set protection_factor = 1e-6"],
    "no findings": ["delete from alerts.alert"],
    "nothing at all": [
        "delete from alerts.alert",
        "delete from marts.fct_procedure",
        "delete from marts.dim_procedure_page",
        "delete from marts.fct_skin_followup",
        "delete from ledger.dose_balance",
        "delete from marts.fct_operator_limit",
        "delete from marts.fct_operator_protection",
    ],
}


@pytest.mark.parametrize("odd", ODD)
def test_odd_procedures_have_a_page_too(changed: Changed, odd: str) -> None:
    pages = list(changed(*ODD[odd]).physics.rglob("*.html"))
    assert pages
    for page in pages:
        html = page.read_text("utf-8")
        assert "nan" not in re.findall(r'(?:x|width|x1|x2|cx|cy|r|y)="([a-z]+)', html)
        assert 'width="-' not in html
        assert ">None<" not in html
