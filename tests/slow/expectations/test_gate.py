"""The gate: each suite passes a believable build, and says in words what is broken in one that is not."""

from __future__ import annotations

import html
import json
import math
import os
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.small_build import change, make_build

from expectations.data_docs import data_docs
from expectations.gate import Failure, SuiteVerdict, Verdict, judge, record
from expectations.readme import README, with_risks
from expectations.suites import SUITES, Settings, checks
from expectations.validator import Result, validate

EVENT_TYPES = ["fluoroscopy", "stationary_acquisition", "stepping_acquisition", "rotational_acquisition", "other"]

# What breaks -> the suite that must say so, and a part of its sentence.
BREAKS = {
    # structural
    "alter table marts.dim_procedure_type rename procedure_type to kind": (
        "structural",
        "missing_column=procedure_type",
    ),
    "drop view alerts.monthly_dose": ("structural", "missing_view=monthly_dose"),
    "insert into marts.dim_room (room_id) values ('CATH1')": ("structural", "room_id=CATH1, rows_with_it=2"),
    "insert into marts.dim_operator (grade) values ('nurse')": (
        "structural",
        "marts.dim_operator.operator_id: the key",
    ),
    "alter table ledger.unlinked_dose alter hp10_usv type double": (
        "structural",
        "wrong_column=ledger.unlinked_dose.hp10_usv, data_type=DOUBLE",
    ),
    "update marts.fct_procedure set clock_confidence = 'perhaps' where procedure_id = 'P2'": (
        "structural",
        "marts.fct_procedure.clock_confidence: is one of high, low, unknown; 1 row does not agree,"
        " e.g. clock_confidence=perhaps, procedure_id=P2",
    ),
    # logical
    "update marts.fct_procedure set ended_at = '2024-03-05 07:00:00+00' where procedure_id = 'P1'": (
        "logical",
        "does not end before it starts; 1 row does not agree, e.g. procedure_id=P1",
    ),
    "update ledger.dose_balance set imbalance_usv = 0.000000001": ("logical", "imbalance_usv=0.000000001"),
    "insert into ledger.file_balance by name select 100 as load_seq, 'moved' as path, 'cath' as source_id,"
    " 'hp10' as quantity, 1 as rows_stated, 0.000000001 as stated_usv, 0 as imbalance_rows, 0 as imbalance_usv": (
        "logical",
        "load_seq=100, path=moved, quantity=hp10",
    ),
    "insert into ledger.file_balance by name select 200 as load_seq, 'lost' as path, 'log' as source_id,"
    " 'hp10' as quantity, 1 as rows_stated, 1 as imbalance_rows": ("logical", "load_seq=200, path=lost, quantity=hp10"),
    "insert into ledger.file_balance by name select 300 as load_seq, 'x.csv' as path, 'twice' as source_id,"
    " 'hp007' as quantity, 2 as counted_usv": ("logical", "source_id=twice, quantity=hp007, counted_usv=2"),
    "insert into ledger.dose_balance by name select 'nowhere' as source_id, 'hp3' as quantity, 3 as ingested_usv": (
        "logical",
        "source_id=nowhere, quantity=hp3",
    ),
    "insert into ledger.linkage by name select 'R1' as room_id, date '2024-03-01' as month, 'staff' as wearer_kind,"
    " 3 as registered_usv, 1 as linked_usv, 1 as apportioned_usv, 0 as unlinked_usv": (
        "logical",
        "room_id=R1, month=2024-03-01, wearer_kind=staff, registered_usv=3",
    ),
    "insert into ledger.counter_balance by name select 'log' as source_id, 'K1' as dosimeter_serial,"
    " 'hp10' as quantity, 2 as segment_rise_usv, 1 as ingested_usv, 0 as imbalance_usv": (
        "logical",
        "source_id=log, dosimeter_serial=K1, quantity=hp10",
    ),
    "insert into ledger.report_balance by name select 400 as load_seq, 'r.dcm' as path, 2 as events_stated,"
    " 0 as imbalance_events": ("logical", "load_seq=400, path=r.dcm, events_stated=2"),
    "insert into ledger.report_balance by name select 401 as load_seq, 7 as events_counted": (
        "logical",
        "events_counted=7, events_published=500",
    ),
    "insert into marts.fct_operator_procedure (procedure_id, operator_id, badge_status) values ('P9', 'OP9', 'zero')": (
        "logical",
        "every row belongs to a procedure; 1 row does not agree, e.g. procedure_id=P9, operator_id=OP9",
    ),
    "delete from marts.dim_room where room_id = 'unknown'": ("logical", "missing_room=unknown"),
    "update alerts.alert set audience = 'operator' where rule = 'pregnancy'": (
        "logical",
        "for the restricted audience only; 1 row does not agree, e.g. a row of the restricted audience",
    ),
    "update alerts.alert set operator_id = null where alert_id = 'A0'": ("logical", "names the operator; 1 row"),
    "update alerts.alert set occurred_on = '2024-04-01' where alert_id = 'A1'": (
        "logical",
        "later_than_as_of=2024-04-01",
    ),
    "insert into marts.fct_patient_exposure values ('K', 'all', 1, 0, 8, 7, false)": (
        "logical",
        "patient_key=K, dose_window=all",
    ),
    "insert into raw.file values (99, 'inbox/lost.csv')": ("logical", "load_seq=99, path=inbox/lost.csv"),
    "update ledger.file set rows_rejected = 3 where load_seq = 1": ("logical", "rejected=3, listed=0"),
    "update marts.fct_operator_limit set dose_msv = -1": (
        "logical",
        "marts.fct_operator_limit.dose_msv: is not negative",
    ),
    "insert into marts.fct_operator_month by name select 'OP1' as operator_id, date '2024-03-01' as month,"
    " 100.0 as hp10_over_apron_usv, 99.0 as hp10_over_apron_warning_usv": ("logical", "hp10_over_apron_warning_usv=99"),
    # plausible
    "insert into marts.fct_irradiation_event (irradiation_event_uid, kap_gy_cm2)"
    " select 'E' || range, 5001 from range(5000)": (
        "plausible",
        "marts.fct_irradiation_event.kap_gy_cm2: is at most 5000 Gy·cm²; 5000 rows do not agree",
    ),
    "update ledger.file set status = 'quarantined' where load_seq <= 3": ("plausible", "quarantined=3, files=40"),
}

# What a person is told and what is published all the same.
ODD = {
    "update marts.fct_procedure set ka_r_mgy = 40000 / 1.5 where procedure_id = 'P1'": (
        "marts.fct_procedure.mean_field_area_cm2: is 20 to 1500 cm² (KAP / Ka,r); 1 row does not agree,"
        " e.g. mean_field_area_cm2=1.5, procedure_id=P1"
    ),
    "update marts.fct_operator_procedure set hp10_usv = 20001": "is at most 20000 µSv; 1 row does not agree",
}

# What would name a person of the restricted audience if its rows were named; OP7 is in no other row.
RESTRICTED = (
    "insert into marts.fct_operator_limit (operator_id, quantity, dose_window, limit_rule, dose_msv)"
    " values ('OP7', 'effective', 'pregnancy', 'pregnancy_1', -1), ('OP7', 'effective', 'pregnancy', 'pregnancy_1', 1)",
    "insert into alerts.alert (alert_id, rule, operator_id, audience, severity, subject_type, state, occurred_on)"
    " select 'OP7', 'pregnancy', 'OP7', 'restricted', word, 'operator', 'open', '2024-03-05' from range(2),"
    " (values ('perhaps')) as words (word)",
    "insert into alerts.alert (alert_id, rule, audience) values ('OP7', 'pregnancy', 'operator')",
)


@pytest.fixture
def build(tmp_path: Path) -> Path:
    return make_build(tmp_path / "doseledger.duckdb")


def sentences(verdict: Verdict, suite: str) -> list[str]:
    return [failure.sentence for found in verdict.suites if found.suite == suite for failure in found.failures]


def test_what_is_believable_passes_and_what_is_odd_warns(build: Path) -> None:
    for sql in ODD:
        change(build, sql)
    verdict = judge(build, Settings())
    assert sentences(verdict, "structural") == sentences(verdict, "logical") == []
    assert verdict.passed
    assert [suite.suite for suite in verdict.suites] == list(SUITES)
    assert sum(suite.checks_run for suite in verdict.suites) == len(checks(Settings()))
    for part in ODD.values():
        assert any(part in sentence for sentence in sentences(verdict, "plausible")), part
    assert len(sentences(verdict, "plausible")) == len(ODD)


def test_each_break_is_named(build: Path) -> None:
    for sql in BREAKS:
        change(build, sql)
    verdict = judge(build, Settings())
    for suite, part in BREAKS.values():
        assert any(part in sentence for sentence in sentences(verdict, suite)), part
    assert not any(suite.passed for suite in verdict.suites)


VALUES = st.lists(
    st.tuples(
        st.none() | st.floats(width=32) | st.sampled_from([20.0, 150.0]) | st.floats(20, 150),
        st.none() | st.sampled_from([*EVENT_TYPES, "", "Fluoroscopy", "gantry", "zoom"]),
    ),
    max_size=6,
)


@settings(max_examples=60)
@given(values=VALUES)
@example(values=[(70.0, "other"), (151.0, "other"), (None, "odd")])
@example(values=[(70.0, "fluoroscopy"), (19.0, "gantry"), (math.nan, "other")])
def test_the_rows_that_break_a_rule_of_one_column_are_counted_and_named(
    values: list[tuple[float | None, str | None]],
) -> None:
    """NULL is no value and breaks nothing; NaN is a value that no quantity can have."""
    plain = {
        "kvp": [f"kvp={kvp}" for kvp, _ in values if kvp is not None and not 20 <= kvp <= 150],
        "event_type": [f"event_type={word}" for _, word in values if word is not None and word not in EVENT_TYPES],
    }
    with duckdb.connect() as con:
        con.execute("create schema marts")
        con.execute(
            "create table marts.fct_irradiation_event (irradiation_event_uid varchar, kvp double, event_type varchar)"
        )
        for number, value in enumerate(values):
            con.execute("insert into marts.fct_irradiation_event values (?, ?, ?)", [f"E{number}", *value])
        found = {
            check.column: con.execute(f'select "{check.column}" from ({check.unexpected_rows})').fetchall()
            for check in checks(Settings())
            if check.table == "marts.fct_irradiation_event" and check.family and check.column in plain
        }
    assert {column: sorted(f"{column}={value}" for (value,) in rows) for column, rows in found.items()} == {
        column: sorted(rows) for column, rows in plain.items()
    }


def test_a_restricted_row_is_counted_and_never_named(build: Path) -> None:
    for sql in RESTRICTED:
        change(build, sql)
    verdict = judge(build, Settings())
    assert "fct_operator_limit.dose_msv: is not negative; 1 row does not agree, e.g. a row" in str(verdict.suites[1])
    assert "fct_operator_limit: the key names exactly one row" in str(verdict.suites[0])
    told = [failure for suite in verdict.suites for failure in suite.failures]
    assert len(told) >= 6
    assert not any("OP7" in str(failure) for failure in told)
    assert "OP7" not in data_docs("Checks", {}, verdict)


def test_the_page_of_a_build_lists_every_check_and_needs_nothing_else(build: Path) -> None:
    change(build, "update marts.fct_procedure set clock_confidence = '<b>' where procedure_id = 'P2'")
    verdict = judge(build, Settings())
    page = data_docs("Checks of <build>", {"As of": "2024-03-31"}, verdict)
    assert "<title>Checks of &lt;build&gt;</title>" in page
    assert "clock_confidence=&lt;b&gt;, procedure_id=P2" in page
    text = html.unescape(page)
    for check in checks(Settings()):
        assert check.rule in text, check.rule
    assert page.count("<td><code>") == len(checks(Settings()))
    assert not re.findall(r"(?:src|href|url|import|http)\b", page)


def test_what_cannot_be_judged_blocks(build: Path) -> None:
    change(build, "drop table marts.fct_procedure; alter table marts.fct_study_dose rename agd_mgy to agd")
    verdict = judge(build, Settings(max_quarantined_files_share=Decimal(1)))
    assert not any(suite.passed for suite in verdict.suites)
    (structural, *_) = sentences(verdict, "structural")
    assert structural.startswith("marts.fct_procedure: the table has every column of the output contract; 32 rows")
    assert any(
        "marts.fct_study_dose.agd_mgy: could not be judged whether is not negative" in sentence
        for sentence in sentences(verdict, "logical")
    )


def test_where_there_is_no_table_at_all_every_check_blocks(tmp_path: Path) -> None:
    empty = tmp_path / "doseledger.duckdb"
    duckdb.connect(empty).close()
    verdict = judge(empty, Settings())
    assert not any(suite.passed for suite in verdict.suites)
    unjudged = [
        sentence for suite in SUITES for sentence in sentences(verdict, suite) if "could not be judged" in sentence
    ]
    of_tables = [check for check in checks(Settings()) if f"from {check.table} " in check.unexpected_rows]
    assert len(unjudged) >= len(of_tables) > 50


def test_the_sites_own_share_of_quarantined_files(build: Path) -> None:
    change(build, "update ledger.file set status = 'quarantined' where load_seq <= 3")
    assert quarantined(build, "0.075") == []
    assert quarantined(build, "0.074") == [(3, 40)]


@pytest.mark.parametrize(("still_there", "effect"), [(20, "block"), (19, "warn")])
def test_of_few_files_refused_ones_warn_and_of_20_they_block(build: Path, still_there: int, effect: str) -> None:
    change(build, "update ledger.file set status = 'quarantined' where load_seq <= 2")
    change(build, "update ledger.file set status = 'ignored' where load_seq > 30")
    change(build, f"delete from raw.recent_file where load_seq between {still_there + 1} and 30")
    (failure,) = (f for suite in judge(build, Settings()).suites for f in suite.failures if f.table == "ledger.file")
    assert failure.severity == effect
    assert f"quarantined=2, files={still_there}" in failure.sentence


def test_refused_files_that_are_gone_do_not_count(build: Path) -> None:
    change(build, "update ledger.file set status = 'quarantined' where load_seq <= 3")
    change(build, "delete from raw.recent_file where load_seq <= 3")
    assert quarantined(build, "0.01") == []


@pytest.mark.parametrize(("factor", "is_odd"), [(3, False), (4, True), (0.3, True), (0.35, False)])
def test_a_field_area_that_changes_by_a_factor_of_ten_is_a_unit(build: Path, factor: float, *, is_odd: bool) -> None:
    with duckdb.connect(build) as con:
        con.execute("delete from marts.fct_procedure")
        con.execute(
            "insert into marts.fct_procedure (procedure_id, room_id, started_at, kap_gy_cm2, ka_r_mgy)"
            " select n::varchar, 'CATH1', timestamptz '2024-03-01 08:00:00+00' + to_hours(n::integer),"
            " (80 + n % 7) * case when n < 20 then 1 else $factor end, 1000 from range(40) as numbers (n)",
            {"factor": factor},
        )
    found = unexpected_rows(build, "marts.fct_procedure", "room_id", "the mean field area")
    assert [row[0] for row in found] == (["CATH1"] if is_odd else [])


def unexpected_rows(build: Path, table: str, column: str, rule: str) -> list[tuple[object, ...]]:
    (check,) = [
        check
        for check in checks(Settings())
        if (check.table, check.column) == (table, column) and check.rule.startswith(rule)
    ]
    with duckdb.connect(build) as con:
        return con.execute(check.unexpected_rows).fetchall()


def quarantined(build: Path, share: str) -> list[tuple[object, ...]]:
    (check,) = [
        check
        for check in checks(Settings(Decimal(share)))
        if (check.table, check.column, check.severity) == ("ledger.file", "status", "block")
        and check.suite == "plausible"
    ]
    with duckdb.connect(build) as con:
        return con.execute(check.unexpected_rows).fetchall()


def test_record_keeps_one_verdict_for_each_build_and_suite(build: Path) -> None:
    failure = Failure("t", "c", "r", "block", 2, ["k=1"], "Say «this».")
    with duckdb.connect(build) as con:
        record(con, "b1", Verdict([SuiteVerdict("logical", 7, [failure])]))
        record(con, "b2", Verdict([SuiteVerdict("logical", 7, [])]))
        record(con, "b1", Verdict([SuiteVerdict("logical", 9, [failure])]))
        rows = con.execute(
            "select build_id, suite, passed, checks_run, checks_failed, failures from ops.verdict order by 1"
        ).fetchall()
    assert [row[:5] for row in rows] == [("b1", "logical", False, 9, 1), ("b2", "logical", True, 7, 0)]
    assert json.loads(rows[0][5])[0]["sentence"] == "Say «this»."


def test_record_keeps_what_each_check_found_with_the_extremes_of_bounded_values(build: Path) -> None:
    with duckdb.connect(build) as con:
        con.execute("update marts.fct_procedure set kap_gy_cm2 = 12.5 where procedure_id = 'P1'")
        con.execute("update marts.fct_procedure set kap_gy_cm2 = 6000 where procedure_id = 'P2'")
    verdict = judge(build, Settings())
    with duckdb.connect(build) as con:
        record(con, "b1", verdict)
        rows = con.execute(
            "select severity, passed, failing_rows, smallest, largest, allowed_low, allowed_high, unit, sentence"
            " from ops.check_result where table_name = 'marts.fct_procedure' and column_name = 'kap_gy_cm2'"
            " and suite = 'plausible'"
        ).fetchall()
        ids = con.execute("select check_id from ops.check_result").fetchall()
        numbers = con.execute("select count(*), count(*) filter (not passed) from ops.check_result").fetchone()
        highest = con.execute("select max(kap_gy_cm2), min(kap_gy_cm2) from marts.fct_procedure").fetchone()
    assert highest == (6000, rows[0][3])
    assert [row[:8] for row in rows] == [("block", False, 1, rows[0][3], 6000, None, 5000, "Gy·cm²")]
    assert "procedure_id=P2" in rows[0][8]
    assert {check_id for (check_id,) in ids} == {check.id for check in checks(Settings())}
    suites = verdict.suites
    assert numbers == (sum(suite.checks_run for suite in suites), sum(len(suite.failures) for suite in suites))


def test_a_check_that_cannot_be_judged_is_recorded_without_a_number_of_rows(build: Path) -> None:
    with duckdb.connect(build) as con:
        con.execute("alter table marts.fct_procedure drop patient_age_years")
    verdict = judge(build, Settings())
    with duckdb.connect(build) as con:
        record(con, "b1", verdict)
        found = con.execute(
            "select severity, passed, failing_rows, smallest from ops.check_result"
            " where column_name = 'patient_age_years' and suite = 'plausible'"
        ).fetchall()
    assert found == [("block", False, None, None)]


def test_the_readme_lists_every_check() -> None:
    text = README.read_text("utf-8")
    assert text == with_risks(text), "python -m expectations.readme was forgotten"
    for check in checks(Settings()):
        assert check.rule in text


def test_each_check_has_a_name_of_its_own() -> None:
    names = [check.name for check in checks(Settings())]
    assert len(set(names)) == len(names) > 150


def test_great_expectations_meets_only_what_was_counted_and_is_zero() -> None:
    (first, second, third, *others) = checks(Settings())
    results = validate(checks(Settings()), {first.name: 0, second.name: 3} | {other.name: 0 for other in others})
    assert results.keys() == {check.name for check in checks(Settings())}
    assert results[first.name] == Result(success=True, unexpected_rows=0, exception="")
    assert results[second.name] == Result(success=False, unexpected_rows=3, exception="")
    assert not results[third.name].success
    assert results[third.name].unexpected_rows is None
    assert third.name in results[third.name].exception
    assert all(results[other.name].success for other in others)


def test_judging_opens_no_connection(build: Path) -> None:
    """In a process of its own: whatever is sent may be sent while modules are imported or when the process ends."""
    script = f"""if True:
        import socket, sys
        from pathlib import Path

        def refuse(event, arguments):
            if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
                print(event, arguments, file=sys.stderr, flush=True)

        sys.addaudithook(refuse)
        from expectations.gate import judge
        from expectations.suites import Settings
        assert judge(Path({str(build)!r}), Settings()).passed
    """
    environment = {name: value for name, value in os.environ.items() if name != "GX_ANALYTICS_ENABLED"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, env=environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_checks_are_read_without_great_expectations() -> None:
    script = """if True:
        import sys
        from expectations import data_docs, gate, suites
        assert not {"great_expectations", "pandas"} & sys.modules.keys()
    """
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("sql", "column"),
    [
        ("delete from ledger.file", "status"),  # a share of no files
        ("update marts.fct_operator_procedure set hp10_usv = 'nan'", "hp10_usv"),
    ],
)
def test_what_is_not_a_number_is_neither_the_smallest_nor_the_largest(build: Path, sql: str, column: str) -> None:
    """It breaks its rule where it is a value; a page that shows the extremes could not write it."""
    change(build, sql)
    verdict = judge(build, Settings(max_quarantined_files_share=Decimal(1)))
    results = [result for suite in verdict.suites for result in suite.results if result.check.column == column]
    assert results
    extremes = [value for result in results for value in (result.smallest, result.largest) if value is not None]
    assert not [value for value in extremes if math.isnan(value)]
