"""Months, limits and findings of operators whose badges and employers are odd, from files to tables, reckoned by hand.

No dose report is needed for that. Whole hospitals are compared in test_hospitals.py, single rules in dbt's unit tests.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import duckdb
import pytest
from support.reckoning import RULES, Reckoning, differences, rows_of
from support.small_site import make_site, run, write

from ingest.site.config import load_site
from orchestration.dbt_build import build_tables

AS_OF = date(2024, 9, 30)

OPERATORS = """\
operator_id,name,specialty,grade,worker_category,works_from,birth_date,pregnancy_declared_on,wears_thyroid_collar
MANY,Ana,cardiology,consultant,A,,,,true
YOUNG,Bo,cardiology,trainee,apprentice,2024-07-01,2006-10-01,,
PREGNANT,Cy,cardiology,nurse,B,,,2024-05-10,
ELSEWHERE,Di,radiology,consultant,A,,,,
LENDER,Ed,radiology,consultant,A,,,,
"""
DOSIMETERS = """\
dosimeter_serial,worn_at,operator_id,room_id,valid_from,valid_to
B1,over_apron_collar,MANY,,2024-01-01,
B2,over_apron_chest,MANY,,2024-01-01,
P1,over_apron_chest,MANY,,2024-01-01,
U1,under_apron_chest,MANY,,2024-01-01,
L1,left_hand,MANY,,2024-01-01,
R1,right_hand,MANY,,2024-01-01,
E1,eye,MANY,,2024-01-01,
B3,over_apron_collar,YOUNG,,2024-01-01,
U3,under_apron_chest,PREGNANT,,2024-01-01,
B4,over_apron_collar,LENDER,,2024-01-01,
"""
EXTERNAL = """\
operator_id,period_begin,period_end,quantity,dose_msv,employer
MANY,2023-12-01,2024-01-31,effective,6.2,H2
MANY,2024-01-01,2024-12-31,extremity,36.6,H2
ELSEWHERE,2024-02-01,2024-02-29,lens,13,H2
ELSEWHERE,2024-02-01,2024-02-29,effective,0.29,H2
"""
CORRECTIONS = """\
dosimeter_serial,from,to,kind,operator_id,by,reason
B4,2024-04-02T00:00:00,2024-04-02T23:59:59,worn_by,MANY,MPE,swapped
B4,2024-04-03T00:00:00,2024-04-03T23:59:59,not_occupational,,MPE,left in the beam
"""
SESSIONS = """\
source_id: sessions
layout: sessions
file_pattern: "*.csv"
encoding: utf-8
delimiter: ";"
decimal: "."
timezone: Europe/Madrid
dst: true
datetime_format: iso8601
columns: {dosimeter_serial: Badge, started_at: From, ended_at: To, hp10: Dose}
units: {hp10: uSv}
"""
PASSIVE = """\
source_id: passive
layout: badge_periods
file_pattern: "*.csv"
encoding: utf-8
delimiter: ";"
decimal: "."
timezone: Europe/Madrid
dst: true
datetime_format: "%Y-%m-%d"
below_lod_tokens: [M]
columns: {dosimeter_serial: Badge, period_begin: From, period_end: To, hp10: Deep, hp007: Skin, hp3: Eye}
units: {hp10: uSv, hp007: uSv, hp3: uSv}
"""
# Badge, day, µSv: one session each, of the hour before midnight where it says so.
WORN = (
    ("B1", "2024-02-10", 100),
    ("B2", "2024-02-10", 300),  # the chest badge beside it is never added
    ("B2", "2024-02-11", 50),  # alone
    ("B1", "2024-02-29", 70),  # the passive badge covers this day
    ("B1", "2024-03-20", 40),
    ("B4", "2024-04-01", 10),
    ("B4", "2024-04-02", 20),  # worn by MANY
    ("B4", "2024-04-03", 9000),  # not occupational
    ("B3", "2024-07-01", 1700),  # by local time; in UTC it begins on the last of June
    ("B3", "2024-08-01", 3300),
)
READ = (
    "P1;2024-02-15;2024-03-14;1450;;",  # 29 days over two months
    "U1;2024-02-01;2024-02-29;M;;",
    "U1;2024-03-01;2024-03-31;310;;",
    "L1;2024-01-01;2024-03-31;;9100;",
    "R1;2024-01-01;2024-03-31;;M;",
    "R1;2024-04-01;2024-06-30;;9100;",
    "L1;2024-04-01;2024-06-30;;1;",
    "E1;2024-03-01;2024-03-10;;;100",
    "U3;2024-05-01;2024-05-31;3100;;",  # 22 of 31 days since the declaration
)


@pytest.fixture(scope="module")
def reckoning(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reckoning]:
    """The tables of the site, and the same once more from its raw rows."""
    root = tmp_path_factory.mktemp("limits") / "site"
    make_site(
        root,
        operators=OPERATORS,
        dosimeters=DOSIMETERS,
        external_dose=EXTERNAL,
        corrections=CORRECTIONS,
        site="site_id: small\nname: Small\ntimezone: Europe/Madrid\njurisdiction: eu\n",
    )
    write(root, "sources/sessions.yaml", SESSIONS)
    write(root, "sources/passive.yaml", PASSIVE)
    sessions = [f"{badge};{day}T00:30:00;{day}T10:00:00;{dose}" for badge, day, dose in WORN]
    write(root, "inbox/dosimeters/sessions/all.csv", "\n".join(["Badge;From;To;Dose", *sessions, ""]))
    write(root, "inbox/dosimeters/passive/all.csv", "\n".join(["Badge;From;To;Deep;Skin;Eye", *READ, ""]))
    run(root)
    build_db = load_site(root).build_db
    build = build_tables(build_db, AS_OF)
    assert build.failures == []
    with duckdb.connect(str(build_db), read_only=True) as con:
        con.execute("set TimeZone = 'UTC'")
        yield Reckoning(con, con, AS_OF)


def test_months_are_what_the_badges_say(reckoning: Reckoning) -> None:
    found = {
        (row["operator_id"], f"{row['month']:%Y-%m}"): row
        for row in rows_of(reckoning.build, "from marts.fct_operator_month")
    }
    february, march = found["MANY", "2024-02"], found["MANY", "2024-03"]
    # 300 alone would be the chest badge; the collar badge counts on the 10th, the chest badge on the 11th.
    assert february["hp10_over_apron_usv"] == 100 + 50 + 70
    assert february["badge_hp10_over_apron_usv"] == 15 * 50
    assert february["over_apron_of_record_usv"] == 100 + 50 + 15 * 50
    assert february["epd_to_badge_ratio"] == pytest.approx(70 / 750)
    assert (february["dose_source"], february["n_below_detection"]) == ("mixed", 2)
    # Of the days of the passive result only the last of February has an electronic dose: all of it is of that day.
    assert february["hp10_over_apron_warning_usv"] == 100 + 50 + 1450
    assert february["effective_dose_estimate_usv"] == pytest.approx(0.5 * 0 + 0.025 * 1600)
    assert february["effective_dose_high_usv"] is None  # below detection, limit not stated
    assert march["effective_dose_estimate_usv"] == pytest.approx(0.5 * 310 + 0.025 * 40)
    assert march["hp3_measured_usv"] == 100
    assert march["hp007_hand_usv"] == pytest.approx(9100 * 31 / 91)
    assert found["MANY", "2024-01"]["effective_dose_estimate_usv"] == pytest.approx(3100)
    assert found["MANY", "2024-04"]["hp10_over_apron_usv"] == 20
    assert found["LENDER", "2024-04"]["hp10_over_apron_usv"] == 10
    assert found["ELSEWHERE", "2024-02"]["dose_source"] == "external"


def test_limits_are_what_the_days_add_up_to(reckoning: Reckoning) -> None:
    found = {
        (row["operator_id"], row["quantity"], row["limit_rule"]): row
        for row in rows_of(reckoning.build, "from marts.fct_operator_limit where dose_window <> 'rolling_12_months'")
    }
    hands = found["MANY", "extremity", "annual_500"]
    # The left hand in spring, the right in summer: the higher sum; and nine of twelve months elsewhere.
    assert hands["dose_msv"] == pytest.approx(9.101 + 36.6 * 274 / 366)
    assert hands["dose_source"] == "mixed"
    lens = found["MANY", "lens", "annual_20"]
    # Hp(3) is measured on 1 to 10 March; on other days the estimate counts.
    assert lens["dose_msv"] == pytest.approx((900 + 4 * 50 + 40 + 100 + 20) / 1000)
    young = found["YOUNG", "lens", "apprentice_15"]
    assert young["dose_msv"] == 5
    assert young["projected_fraction"] == pytest.approx(5 / 15 * 184 / 92)
    assert ("YOUNG", "lens", "annual_20") not in found
    assert found["PREGNANT", "effective", "pregnancy_1"]["dose_msv"] == pytest.approx(2.2)
    assert found["PREGNANT", "effective", "category_b_6"]["limit_msv"] == 6
    assert found["ELSEWHERE", "lens", "annual_20"]["fraction_of_limit"] == pytest.approx(0.65)
    assert found["ELSEWHERE", "extremity", "annual_500"]["dose_msv"] is None


def test_a_finding_about_a_limit_names_the_limit_in_columns(reckoning: Reckoning) -> None:
    named = reckoning.build.execute(
        "select alert_id, count(limit_msv) from alerts.alert left join marts.fct_operator_limit as shares"
        " on shares.operator_id = alert.operator_id and shares.limit_rule = alert.limit_rule"
        " and shares.dose_window = alert.dose_window and (shares.quantity = alert.quantity or alert.rule = 'pregnancy')"
        " where alert.limit_rule is not null group by alert_id"
    ).fetchall()
    assert len(named) >= 5
    assert {found for _, found in named} == {1}


def test_findings_name_the_highest_step(reckoning: Reckoning) -> None:
    found = reckoning.build.execute(
        "select rule, operator_id, quantity, severity, audience from alerts.alert where operator_id <> 'MANY'"
        " and rule in ? order by all",
        [RULES],
    ).fetchall()
    assert found == [
        ("dose_limit", "ELSEWHERE", "lens", "review", "operator"),  # calendar year and 12 months are one limit
        ("dose_limit", "PREGNANT", "effective", "notice", "operator"),  # of category B's level
        ("dose_limit", "YOUNG", "lens", "notice", "operator"),
        ("monthly_dose", "PREGNANT", "effective", "review", "operator"),
        ("monthly_dose", "YOUNG", "hp10", "review", "operator"),
        ("monthly_dose", "YOUNG", "hp10", "review", "operator"),
        ("pregnancy", "PREGNANT", "hp10_under_apron", "review", "restricted"),  # no result of the last 122 days
        ("pregnancy", "PREGNANT", "hp10_under_apron", "urgent", "restricted"),
    ]


def limit_alerts(con: duckdb.DuckDBPyConnection) -> set[tuple[object, ...]]:
    return set(
        con.execute(
            "select rule, operator_id, step, dose_window, severity, round(value, 6) from alerts.alert"
            " where rule in ('dose_limit', 'pregnancy')"
        ).fetchall()
    )


def test_the_whole_is_what_raw_rows_say(reckoning: Reckoning) -> None:
    for table, key, expected in (
        ("fct_operator_month", ("operator_id", "month"), reckoning.months),
        ("fct_operator_limit", ("operator_id", "quantity", "dose_window", "limit_rule"), reckoning.limits),
    ):
        found = {tuple(row[name] for name in key): row for row in rows_of(reckoning.build, f"from marts.{table}")}
        assert differences(found, expected) == {}
    alerts = reckoning.build.execute(
        "select rule, operator_id, procedure_id, occurred_on, severity from alerts.alert where rule in ?", [RULES]
    ).fetchall()
    assert set(alerts) == reckoning.findings()
    assert limit_alerts(reckoning.build) == reckoning.limit_findings()
