"""The gate: each suite passes a believable build, and says in words what is broken in one that is not."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from small_build import change, make_build

from expectations import gate
from expectations.gate import Failure, SuiteVerdict, Verdict, judge, record
from expectations.readme import README, with_risks
from expectations.suites import SUITES, OffenderCheck, Settings, checks

pytestmark = pytest.mark.slow

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
    "insert into marts.fct_operator_procedure (procedure_id, operator_id, badge_status) values ('P9', 'OP9', 'zero')": (
        "logical",
        "every row belongs to a procedure; 1 row does not agree, e.g. procedure_id=P9, operator_id=OP9",
    ),
    "delete from marts.dim_room where room_id = 'unknown'": ("logical", "missing_room=unknown"),
    "update alerts.alert set audience = 'operator' where rule = 'pregnancy'": ("logical", "e.g. alert_id=A3"),
    "update alerts.alert set operator_id = null where alert_id = 'A0'": ("logical", "names the operator; 1 row"),
    "update alerts.alert set occurred_on = '2024-04-01' where alert_id = 'A1'": (
        "logical",
        "later_than_as_of=2024-04-01",
    ),
    "insert into marts.fct_patient_exposure values ('K', 'all', 1, 0, 8, 7, false)": (
        "logical",
        "patient_key=K, window=all",
    ),
    "insert into raw.file values (99, 'inbox/lost.csv')": ("logical", "load_seq=99, path=inbox/lost.csv"),
    "update ledger.file set rows_rejected = 3 where load_seq = 1": ("logical", "rejected=3, listed=0"),
    "update marts.fct_operator_limit set dose_msv = -1": (
        "logical",
        "marts.fct_operator_limit.dose_msv: is not negative",
    ),
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


@pytest.fixture
def build(tmp_path: Path) -> Path:
    return make_build(tmp_path / "doseledger.duckdb")


def sentences(verdict: Verdict, suite: str) -> list[str]:
    return [failure.sentence for found in verdict.suites if found.suite == suite for failure in found.failures]


def test_what_is_believable_passes_and_what_is_odd_warns(build: Path) -> None:
    for sql in ODD:
        change(build, sql)
    verdict = judge(build, Settings())
    assert verdict.passed
    assert [suite.suite for suite in verdict.suites] == list(SUITES)
    assert sum(suite.checks_run for suite in verdict.suites) == len(checks(Settings()))
    assert sentences(verdict, "structural") == sentences(verdict, "logical") == []
    for part in ODD.values():
        assert any(part in sentence for sentence in sentences(verdict, "plausible")), part
    assert len(sentences(verdict, "plausible")) == len(ODD)


def test_each_break_is_named(build: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "VECTORS_PER_CHUNK", 1)  # 5000 rows are three chunks
    for sql in BREAKS:
        change(build, sql)
    verdict = judge(build, Settings())
    for suite, part in BREAKS.values():
        assert any(part in sentence for sentence in sentences(verdict, suite)), part
    assert not any(suite.passed for suite in verdict.suites)


def test_what_cannot_be_judged_blocks(build: Path) -> None:
    change(build, "drop table marts.fct_procedure; alter table marts.fct_study_dose rename agd_mgy to agd")
    verdict = judge(build, Settings(max_quarantined_files_share=Decimal(1)))
    assert not any(suite.passed for suite in verdict.suites)
    (structural, *_) = sentences(verdict, "structural")
    assert structural.startswith("marts.fct_procedure: the table has every column of the output contract; 28 rows")
    assert any(
        "marts.fct_study_dose.agd_mgy: could not be judged whether is not negative" in sentence
        for sentence in sentences(verdict, "logical")
    )


def test_the_sites_own_share_of_quarantined_files(build: Path) -> None:
    change(build, "update ledger.file set status = 'quarantined' where load_seq <= 3")
    assert quarantined(build, "0.075") == []
    assert quarantined(build, "0.074") == [(3, 40)]


def quarantined(build: Path, share: str) -> list[tuple[object, ...]]:
    (check,) = [
        check
        for check in checks(Settings(Decimal(share)))
        if isinstance(check, OffenderCheck) and (check.table, check.column) == ("ledger.file", "status")
    ]
    with duckdb.connect(build) as con:
        return con.execute(check.offenders).fetchall()


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


def test_the_readme_lists_every_check() -> None:
    text = README.read_text("utf-8")
    assert text == with_risks(text), "python -m expectations.readme was forgotten"
