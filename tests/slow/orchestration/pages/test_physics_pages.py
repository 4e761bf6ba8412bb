"""People, rooms, classes, patients and data: each number against another way to it, each question answered in words."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from html import unescape
from statistics import fmean, median
from typing import Any

import duckdb
import pytest
from slow.orchestration.pages.conftest import Changed, Night

from expectations.suites import Settings, checks
from orchestration.pages.classes import class_figures
from orchestration.pages.data import SHOWN, data_figures
from orchestration.pages.patients import patient_figures
from orchestration.pages.people import people_figures
from orchestration.pages.rooms import room_figures

PAGES = ("people", "rooms", "classes", "patients", "data")


@pytest.fixture
def warehouse(night: Night) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(night.folder / "warehouse.duckdb", read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        yield connection


def text_of(night: Night, page: str) -> str:
    html = (night.physics / f"{page}.html").read_text("utf-8")
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", html)))


def heading_of(night: Night, page: str) -> str:
    found = re.search(r"<h1>(.*?)</h1>", (night.physics / f"{page}.html").read_text("utf-8"), re.S)
    assert found
    return unescape(found[1]).strip()


def rows(connection: duckdb.DuckDBPyConnection, query: str) -> list[tuple[Any, ...]]:
    return connection.execute(query).fetchall()


def test_every_link_of_a_page_leads_to_a_file(night: Night) -> None:
    for page in PAGES:
        html = (night.physics / f"{page}.html").read_text("utf-8")
        for target in re.findall(r'(?:href|src)="([^"#]+)"', html):
            assert target.startswith("data:") or (night.physics / target).exists(), (page, target)


def test_people_are_those_of_the_limits_and_the_nearest_leads(
    night: Night, warehouse: duckdb.DuckDBPyConnection
) -> None:
    figures = people_figures(warehouse)
    highest: dict[str, float] = {}
    for operator_id, fraction in rows(
        warehouse,
        "select operator_id, warning_fraction from marts.fct_operator_limit"
        " where dose_window <> 'pregnancy' and warning_fraction is not null",
    ):
        highest[operator_id] = max(fraction, highest.get(operator_id, 0))
    assert {row.operator_id: row.received_share for row in figures.limits} == highest
    nearest = max(highest, key=lambda operator_id: highest[operator_id])
    assert figures.limits[0].received_share == highest[nearest]
    assert f"{100 * highest[nearest]:.0f}" in heading_of(night, "people")


def test_badges_count_each_procedure_of_a_person_once(warehouse: duckdb.DuckDBPyConnection) -> None:
    found = {row.operator_id: row for row in people_figures(warehouse).badges}
    statuses = rows(warehouse, "select operator_id, badge_status from marts.fct_operator_procedure")
    for operator_id, row in found.items():
        of_person = [status for who, status in statuses if who == operator_id]
        assert row.procedures == len(of_person)
        assert row.missing == of_person.count("missing")
        assert row.with_reading == row.procedures - row.missing


def test_few_procedures_are_never_compared(changed: Changed) -> None:
    night = changed("update marts.fct_operator_protection set n = 19, ci_low = 1.5, protection_ratio = 3.14159")
    html = (night.physics / "people.html").read_text("utf-8")
    assert "3.1" not in re.findall(r'id="protection".*?</section>', html, re.S)[0]


def test_shielding_of_a_room_is_the_median_share_of_the_c_arm(warehouse: duckdb.DuckDBPyConnection) -> None:
    shares: dict[tuple[str, str], list[float]] = {}
    for room, group, share in rows(
        warehouse,
        "select coalesce(room_name, room_id), role_group, hp10_to_c_arm_percent from marts.fct_operator_procedure"
        " join marts.fct_procedure using (procedure_id) left join marts.dim_room using (room_id)"
        " where hp10_to_c_arm_percent is not null",
    ):
        shares.setdefault((room, group), []).append(share)
    found = {(row.room, row.role_group): row for row in room_figures(warehouse).shielding}
    assert set(found) == set(shares)
    for key, values in shares.items():
        assert found[key].n == len(values)
        assert found[key].median == pytest.approx(median(values))


def test_worst_room_has_enough_procedures(changed: Changed) -> None:
    """A room with one terrible procedure is not the worst."""
    night = changed(
        "update marts.fct_operator_procedure set hp10_to_c_arm_percent = case when procedure_id ="
        " (select min(procedure_id) from marts.fct_operator_procedure where hp10_to_c_arm_percent is not null)"
        " then 95 end"
    )
    assert "95" not in heading_of(night, "rooms")


@pytest.mark.parametrize("is_moved", [False, True])
def test_a_room_whose_c_arm_badge_was_moved_does_not_lead(changed: Changed, is_moved: bool) -> None:
    """Half the reading of the C-arm doubles everybody's share in the room: that is the badge, not the shielding."""
    moved = (
        "(select room_id from marts.fct_procedure join marts.fct_operator_procedure using (procedure_id)"
        " where hp10_to_c_arm_percent is not null and role_group = 'first_operator'"
        " group by room_id order by count(*) desc, room_id limit 1)"
    )
    higher = (
        "update marts.fct_operator_procedure set hp10_to_c_arm_percent = hp10_to_c_arm_percent + 60"
        f" where procedure_id in (select procedure_id from marts.fct_procedure where room_id = {moved})"
    )
    finding = (
        "insert into alerts.alert by name select * replace ('moved' as alert_id, 'data_quality' as rule,"
        f" 'c_arm_drift' as quantity, {moved} as room_id, (select max(as_of) from ledger.publication) as occurred_on,"
        " null as operator_id, null as procedure_id, null as patient_key, null as detail)"
        " from alerts.alert where rule = 'data_quality' limit 1"
    )
    others = "delete from alerts.alert where quantity = 'c_arm_drift'"
    night = changed(others, higher, *([finding] if is_moved else []))
    assert bool(re.search(r"[6-9]\d\.\d", heading_of(night, "rooms"))) != is_moved
    assert ('review">not compared' in (night.physics / "rooms.html").read_text("utf-8")) == is_moved


def test_calibrations_are_those_of_the_site_and_rooms_without_are_named(changed: Changed) -> None:
    night = changed(
        "delete from marts.dim_kap_calibration",
        "insert into marts.dim_kap_calibration select room_id, plane, factor, valid_from, valid_to, 'Cert 7' from"
        " (select min(room_id) as room_id from marts.dim_room where room_id <> 'unknown'), (values"
        "   ('single', 0.9, date '2023-01-01', date '2023-12-31'), ('single', 1.234, date '2024-01-01', null),"
        "   ('A', 1.1, date '2030-01-01', null)) as stated(plane, factor, valid_from, valid_to)",
    )
    with duckdb.connect(night.folder / "warehouse.duckdb", read_only=True) as connection:
        figures = room_figures(connection)
        ((rooms,),) = rows(connection, "select count(*) from marts.dim_room where room_id <> 'unknown'")
    stated = [row for row in figures.calibrations if row.factor is not None]
    assert [(row.plane, row.factor, row.is_in_force) for row in stated] == [
        ("A", 1.1, False),
        ("single", 1.234, True),
        ("single", 0.9, False),
    ]
    assert len(figures.uncalibrated) == rooms - 1
    assert len({row.room for row in figures.calibrations}) == rooms
    assert re.search(r"single 1.234 1 Jan 2024 in force Cert 7", text_of(night, "rooms"))


def test_thresholds_are_those_of_the_publication(changed: Changed) -> None:
    """Not a number of the code: with others the pages compare otherwise, and say so."""
    night = changed(
        "update marts.dim_comparison_threshold set value = 7 where name = 'min_protection_rows'",
        "update marts.dim_comparison_threshold set value = 1e9 where name = 'min_kap'",
        "update marts.dim_comparison_threshold set value = 4321 where name = 'min_hp10'",
    )
    with duckdb.connect(night.folder / "warehouse.duckdb", read_only=True) as connection:
        assert room_figures(connection).scatter == ()
        assert {row.is_enough for row in room_figures(connection).shielding if row.n >= 7} == {True}
    assert "from 7 procedures" in text_of(night, "rooms")
    assert "dose below 4,321 µSv" in text_of(night, "index")


def test_scatter_is_the_geometric_mean_of_c_arm_dose_per_kap(warehouse: duckdb.DuckDBPyConnection) -> None:
    logs: dict[str, list[float]] = {}
    for room, dose, kap in rows(
        warehouse,
        "select coalesce(room_name, room_id), c_arm_dose_usv, kap_gy_cm2 from marts.fct_procedure"
        " left join marts.dim_room using (room_id)",
    ):
        if dose is not None and kap is not None and dose >= 20 and kap >= 1:
            logs.setdefault(room, []).append(math.log(dose / kap))
    found = room_figures(warehouse).scatter
    assert {row.room: row.n for row in found} == {room: len(values) for room, values in logs.items()}
    for row in found:
        assert row.usual == pytest.approx(math.exp(fmean(logs[row.room])))


def test_a_class_that_rose_leads_the_page(changed: Changed) -> None:
    """Clearly: the whole interval is above 1; a larger change with a wide interval does not lead."""
    last = "(select max(quarter) from marts.fct_class_quarter)"
    night = changed(
        "update marts.fct_class_quarter set change_vs_last_year = 9, change_low = 0.9, change_high = 90"
        f" where quarter = {last}",
        "update marts.fct_class_quarter set change_vs_last_year = 1.37, change_low = 1.11, change_high = 1.69"
        f" where quarter = {last} and quantity = 'kap' and role_group = 'first_operator' and procedure_type ="
        " (select min(procedure_type) from marts.fct_class_quarter where role_group = 'first_operator'"
        f" and quantity = 'kap' and median is not null and quarter = {last})",
    )
    assert "1.37" in heading_of(night, "classes")
    with duckdb.connect(night.folder / "warehouse.duckdb", read_only=True) as connection:
        figures = class_figures(connection)
        assert [row.quantity for row in figures.rises] == ["kap"]
        assert f"Of {figures.compared} comparisons 1 rose clearly" in text_of(night, "classes")


def test_a_class_has_the_level_and_ratio_of_the_whole_site(changed: Changed) -> None:
    night = changed(
        "update marts.fct_reference_level set drl_value = 50, drl_scope = 'national',"
        " ratio_to_drl = case when room_id is null then 0.5 else 7 end"
    )
    with duckdb.connect(night.folder / "warehouse.duckdb", read_only=True) as connection:
        series = class_figures(connection).series
    ratios = {row.level.ratio for rows_ in series.values() for row in rows_ if row.level}
    assert ratios == {0.5}


def test_patients_are_those_of_the_register_and_of_100_msv(night: Night, warehouse: duckdb.DuckDBPyConnection) -> None:
    figures = patient_figures(warehouse)
    states = rows(warehouse, "select procedure_id, state from marts.fct_skin_followup where state <> 'not_needed'")
    assert sorted((row.procedure_id, row.state) for row in figures.follow_ups) == sorted(states)
    keys = {
        key for (key,) in rows(warehouse, "select patient_key from marts.fct_patient_exposure where is_100_msv_or_more")
    }
    assert {row.patient_key for row in figures.recurrent} == keys
    assert len(figures.recurrent) == len(keys)  # each patient once
    page = text_of(night, "patients")
    for row in figures.follow_ups:
        assert (row.accession_number or "no number") in page
        assert (row.patient_key or "a key") not in page  # its beginning tells patients apart


def test_a_patient_who_was_informed_as_needed_is_finished_and_a_late_one_keeps_the_record(changed: Changed) -> None:
    """The demo's filled register showed both wrong: finished ones as unfinished, and records as no records."""
    night = changed(
        "delete from marts.fct_skin_followup",
        "insert into marts.fct_skin_followup by name select procedure_id, procedure_date, 'examine' as need,"
        " 'overdue' as state, date '2024-04-20' as due_on, date '2024-03-30' as informed_on"
        " from marts.fct_procedure order by procedure_id limit 1",
        "insert into marts.fct_skin_followup by name select procedure_id, procedure_date, 'inform' as need,"
        " 'informed' as state, date '2024-03-31' as informed_on from marts.fct_procedure order by procedure_id desc"
        " limit 2",
    )
    assert heading_of(night, "patients") == "1 skin follow-up is not finished, 1 overdue"
    page = text_of(night, "patients")
    assert "2 follow-ups are finished." in page
    assert "nothing is on record" not in page
    assert "informed 30 Mar" in page
    assert "30 Mar;" not in page


def test_a_patient_without_key_or_angles_is_listed(changed: Changed) -> None:
    night = changed(
        "insert into marts.fct_skin_followup (procedure_id, procedure_date, need, state) "
        "select procedure_id, procedure_date, 'examine', 'open' from marts.fct_procedure order by procedure_id limit 1",
        "update marts.fct_skin_dose set secondary_angle_deg = null",
    )
    assert heading_of(night, "patients") != "No patient needs skin follow-up"


def test_data_have_one_place_each(warehouse: duckdb.DuckDBPyConnection) -> None:
    figures = data_figures(warehouse)
    assert figures.imbalance == 0
    assert sum(part.count or 0 for part in figures.rows) == figures.stated_rows
    assert sum(part.count or 0 for part in figures.events) == figures.events_stated
    assert sum(part.usv or 0 for part in figures.dose) == pytest.approx(figures.dose_usv)
    assert sum(part.share for part in figures.dose) == pytest.approx(1)
    unlinked = next(part.usv for part in figures.dose if part.name == "unlinked_usv")
    assert sum(part.usv or 0 for part in figures.reasons) == pytest.approx(unlinked)
    assert sum(count for _, _, count in figures.files) == rows(warehouse, "select count(*) from ledger.file")[0][0]


def test_each_bar_of_the_flow_is_what_goes_on_from_the_bar_above(warehouse: duckdb.DuckDBPyConnection) -> None:
    stated, once, went = data_figures(warehouse).flow
    assert once.usv == pytest.approx(sum(part.usv or 0 for part in stated.parts[: stated.goes_on]))
    assert went.usv == pytest.approx(sum(part.usv or 0 for part in once.parts[: once.goes_on]))
    assert sum(part.share for part in stated.parts) == pytest.approx(1)
    ((in_files, rise, ingested),) = rows(
        warehouse,
        "select (select sum(stated_usv) from ledger.file_balance where quantity = 'hp10'),"
        " (select sum(ingested_usv) from ledger.counter_balance where quantity = 'hp10'),"
        " (select sum(ingested_usv) from ledger.dose_balance where quantity = 'hp10')",
    )
    assert stated.usv == pytest.approx(float(in_files + rise))
    assert once.usv == pytest.approx(float(ingested))
    assert went.parts[-1].usv == pytest.approx(sum(part.usv or 0 for part in data_figures(warehouse).reasons))


def test_a_flow_without_any_dose_is_drawn(changed: Changed) -> None:
    night = changed(
        "delete from ledger.file_balance", "delete from ledger.counter_balance", "delete from ledger.dose_balance"
    )
    assert "The files state 0.0 mSv" in text_of(night, "data")


def test_checks_are_those_of_the_gate(night: Night, warehouse: duckdb.DuckDBPyConnection) -> None:
    figures = data_figures(warehouse)
    assert {(check.suite, check.place, check.rule) for check in figures.checks} == {
        (
            check.suite,
            check.table if not check.column or "," in check.column else f"{check.table}.{check.column}",
            check.rule,
        )
        for check in checks(Settings(night.site.gate.max_quarantined_files_share))
    }
    ((passed,),) = rows(warehouse, "select checks_passed from ledger.publication")
    assert sum(check.passed for check in figures.checks) == passed
    (kap,) = [
        check
        for check in figures.checks
        if (check.suite, check.place) == ("plausible", "marts.fct_procedure.kap_gy_cm2")
    ]
    assert rows(warehouse, "select min(kap_gy_cm2), max(kap_gy_cm2) from marts.fct_procedure") == [
        (kap.smallest, kap.largest)
    ]
    assert (kap.allowed_low, kap.allowed_high, kap.unit) == (None, 5000, "Gy·cm²")
    assert {check.history[-1] for check in figures.checks} <= {True, False}
    assert {check.history[:-1] for check in figures.checks} == {(None,) * (SHOWN - 1)}


EARLIER = """
    insert into ledger.publication by name
    select * replace ('{run}' as run_id, published_at - interval {days} day as published_at)
    from ledger.publication where run_id not like 'before%'
"""
EARLIER_CHECKS = """
    insert into ledger.check_result by name
    select * replace ('{run}' as run_id, {held} as passed)
    from ledger.check_result where run_id not like 'before%'
"""
OF_KAP = "table_name = 'marts.fct_procedure' and column_name = 'kap_gy_cm2' and suite = 'plausible'"


def test_a_warning_leads_the_checks_with_its_history(changed: Changed) -> None:
    """It held three publications ago, and has not since."""
    night = changed(
        f"update ledger.check_result set passed = false, failing_rows = 7, sentence = 'P7 is odd.' where {OF_KAP}",
        *(
            statement.format(run=f"before{days}", days=days, held=f"passed or ({OF_KAP} and {days} > 2)")
            for days in (1, 2, 3)
            for statement in (EARLIER, EARLIER_CHECKS)
        ),
        # The pages take the last row for this publication.
        "create table ledger.ordered as from ledger.publication order by published_at",
        "drop table ledger.publication",
        "alter table ledger.ordered rename to publication",
    )
    with duckdb.connect(night.folder / "warehouse.duckdb", read_only=True) as connection:
        figures = data_figures(connection)
        ((since,),) = rows(connection, "select published_at from ledger.publication where run_id = 'before2'")
    first = figures.checks[0]
    assert first.place == "marts.fct_procedure.kap_gy_cm2"
    assert first.history[-4:] == (True, False, False, False)
    assert first.failing_since == since
    assert "The gate passed, with" in text_of(night, "data")
    assert "P7 is odd." in text_of(night, "data")


def test_an_imbalance_is_the_heading(changed: Changed) -> None:
    night = changed("update ledger.file_balance set imbalance_usv = 0.5 where load_seq = 1")
    assert "without a place" in heading_of(night, "data")


@pytest.mark.parametrize("language", ["en", "fr", "es"])
def test_every_language_has_every_page(changed: Changed, language: str) -> None:
    night = changed(language=language)
    for page in PAGES:
        assert "{" not in text_of(night, page)
