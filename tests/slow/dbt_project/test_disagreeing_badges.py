"""Electronic and passive badges that disagree, from files to tables: cases with the figures of real ones.

The whole of each table is reckoned once more from raw rows; that of whole hospitals is in test_hospitals.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest
from support.reckoning import RULES, Reckoning, differences, rows_of
from support.small_site import make_site, run, write

from ingest.site.config import load_site
from orchestration.dbt_build import build_tables

AS_OF = date(2024, 5, 31)

OPERATORS = """\
operator_id,name,specialty,grade,worker_category
SILENT,Ana,cardiology,consultant,A
UNDER,Bo,cardiology,consultant,A
ONE_DAY,Cy,cardiology,consultant,A
UNKNOWN,Di,radiology,consultant,A
"""
DOSIMETERS = """\
dosimeter_serial,worn_at,operator_id,room_id,valid_from,valid_to
E1,over_apron_collar,SILENT,,2024-01-01,
P1,over_apron_chest,SILENT,,2024-01-01,
E2,over_apron_collar,UNDER,,2024-01-01,
U2,under_apron_chest,UNDER,,2024-01-01,
E3,over_apron_collar,ONE_DAY,,2024-01-01,
U3,under_apron_chest,ONE_DAY,,2024-01-01,
E4,over_apron_collar,UNKNOWN,,2024-01-01,
U4,under_apron_chest,UNKNOWN,,2024-01-01,
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
columns: {dosimeter_serial: Badge, period_begin: From, period_end: To, hp10: Deep}
units: {hp10: uSv}
"""
# Badge, day, µSv: one session each.
WORN = (
    *(("E1", f"2024-{month}-{day:02}", dose) for month in ("03", "04", "05") for day, dose in ((4, 100), (20, 6))),
    ("E2", "2024-03-11", 58),
    ("E3", "2024-03-01", 8),
    *(("E3", f"2024-03-{day:02}", "2.2") for day in range(2, 32)),
    ("E4", "2024-03-05", "193.2"),
)
READ = (
    "P1;2024-03-01;2024-03-31;M",
    "P1;2024-04-01;2024-04-30;M",
    "P1;2024-05-01;2024-05-31;M",
    "U2;2024-03-01;2024-03-31;210",
    "U3;2024-03-01;2024-03-01;1.8",
    "U4;2024-03-01;2024-03-31;M",
)


def built(root: Path, lod: str) -> Path:
    """A site with these badges, its tables built; ``lod``: the limit that the service of the passive badges states."""
    make_site(
        root,
        operators=OPERATORS,
        dosimeters=DOSIMETERS,
        site="site_id: small\nname: Small\ntimezone: Europe/Madrid\njurisdiction: eu\n",
    )
    write(root, "sources/sessions.yaml", SESSIONS)
    write(root, "sources/passive.yaml", PASSIVE + lod)
    sessions = [f"{badge};{day}T08:00:00;{day}T10:00:00;{dose}" for badge, day, dose in WORN]
    write(root, "inbox/dosimeters/sessions/all.csv", "\n".join(["Badge;From;To;Dose", *sessions, ""]))
    write(root, "inbox/dosimeters/passive/all.csv", "\n".join(["Badge;From;To;Deep", *READ, ""]))
    run(root)
    build_db = load_site(root).build_db
    assert build_tables(build_db, AS_OF).failures == []
    return build_db


@pytest.fixture(scope="module", params=["lod: {value: 0.05, unit: mSv}\n", ""], ids=["stated", "not_stated"])
def reckoning(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reckoning]:
    """The tables of the site, and the same once more from its raw rows."""
    database = built(tmp_path_factory.mktemp("warning") / "site", request.param)
    with duckdb.connect(str(database), read_only=True) as con:
        con.execute("set TimeZone = 'UTC'")
        yield Reckoning(con, con, AS_OF)


def months(reckoning: Reckoning) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (row["operator_id"], f"{row['month']:%Y-%m}"): row
        for row in rows_of(reckoning.build, "from marts.fct_operator_month")
    }


def limits(reckoning: Reckoning, quantity: str) -> dict[str, dict[str, Any]]:
    rows = rows_of(reckoning.build, "from marts.fct_operator_limit where limit_rule = 'annual_20'")
    return {row["operator_id"]: row for row in rows if row["quantity"] == quantity}


def is_lod_stated(reckoning: Reckoning) -> bool:
    return reckoning.build.execute("select lod_usv from raw.source where source_id = 'passive'").fetchone() != (None,)


def test_a_badge_below_detection_hides_no_electronic_dose(reckoning: Reckoning) -> None:
    """106 µSv of the electronic badge beside a passive result below detection."""
    march = months(reckoning)["SILENT", "2024-03"]
    assert march["over_apron_of_record_usv"] == 0
    assert march["hp10_over_apron_warning_usv"] == 106
    assert march["effective_dose_low_usv"] == pytest.approx(106 / 21)
    lens = limits(reckoning, "lens")["SILENT"]
    assert (lens["dose_msv"], lens["warning_dose_msv"], lens["dose_low_msv"]) == (0, 0.318, 0.318)
    # The limit of detection is below what the electronic badge shows: nothing is added.
    assert lens["dose_high_msv"] == (0.318 if is_lod_stated(reckoning) else None)


def test_one_day_under_a_badge_is_one_day_of_the_two_badge_formula(reckoning: Reckoning) -> None:
    march = months(reckoning)["ONE_DAY", "2024-03"]
    one_day, thirty_days = 0.5 * 1.8 + 0.025 * 8, 30 * 2.2 / 21
    assert march["effective_dose_estimate_usv"] == pytest.approx(one_day + thirty_days)
    assert march["effective_dose_method"] == "ncrp_122_double, ncrp_122_single"
    # The whole month by the two-badge formula was less than two thirds of it.
    assert march["effective_dose_estimate_usv"] > 1.5 * (0.5 * 1.8 + 0.025 * (8 + 30 * 2.2))


def test_the_upper_end_of_what_is_below_detection_is_known_where_the_limit_is(reckoning: Reckoning) -> None:
    """0.00483 mSv where the badge under the apron was below detection."""
    effective = limits(reckoning, "effective")["UNKNOWN"]
    assert effective["dose_low_msv"] == pytest.approx(0.00483)
    stated = is_lod_stated(reckoning)
    assert effective["dose_high_msv"] == (pytest.approx(0.00483 + 0.5 * 0.05) if stated else None)


def test_badges_that_do_not_agree_are_found(reckoning: Reckoning) -> None:
    """Three months of 106 µSv against results below detection; 210 µSv under the apron against 58 µSv over it."""
    found = reckoning.build.execute(
        "select operator_id, step, occurred_on, value, threshold, n_reference, severity, audience"
        " from alerts.badge_mismatch order by all"
    ).fetchall()
    exchanged = ("UNDER", "under_above_over", date(2024, 3, 31), 210, 87, 1, "notice", "operator")
    not_worn = ("SILENT", "passive_low", date(2024, 5, 31), 150, 159, 3, "notice", "operator")
    # Three results that may each be as high as 0.1 mSv do not contradict 318 µSv.
    assert found == ([not_worn, exchanged] if is_lod_stated(reckoning) else [exchanged])


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
