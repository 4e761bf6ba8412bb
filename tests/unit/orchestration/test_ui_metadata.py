"""What the UI shows of a table: rows as medical physics sees them, summaries that fit; pages are kept a while."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import duckdb
import pytest
from support.small_build import change, make_build

from expectations.contract import TABLES
from orchestration.built_tables import SUMMARIES, contents_of, failing_rows, row_count
from orchestration.product import DBT_PROJECT
from orchestration.publication import data_docs
from orchestration.publication.data_docs import data_docs_file, write_data_docs
from orchestration.ui_metadata import shown


@pytest.fixture
def build(tmp_path: Path) -> Path:
    return make_build(tmp_path / "doseledger.duckdb")


def test_rows_of_the_restricted_audience_are_not_even_counted(build: Path) -> None:
    change(build, "create schema intermediate; create table intermediate.finding_pregnancy as from alerts.pregnancy")
    with duckdb.connect(build, read_only=True) as con:
        held = {name: con.execute(f"select count(*) from {name}").fetchone() for name in TABLES}
        assert held["alerts.alert"] == (4,)
        assert row_count(con, "alerts.alert") == 3
        assert row_count(con, "marts.fct_operator_limit") == 1
        assert row_count(con, "alerts.pregnancy") == row_count(con, "intermediate.finding_pregnancy") == 0
        assert row_count(con, "alerts.absolute_dose") == 1
        for name in TABLES.keys() - {"alerts.alert", "marts.fct_operator_limit"}:
            assert (row_count(con, name),) == held[name]
        assert "pregnancy" not in str(contents_of(con, "alerts.alert"))


def test_failing_rows_are_named_by_keys_only(build: Path) -> None:
    with duckdb.connect(build, read_only=True) as con:
        private = "select 'OP1' as operator_id, 'Ana' as operator_name, date '1980-01-01' as birth_date, 2 as n_rows"
        named = failing_rows(con, f"{private} from range(9)", "staging.stg_operator")
        assert named == {"failing_rows": [{"operator_id": "OP1", "n_rows": 2}]}
        many = failing_rows(con, "select range as load_seq from range(9)", "staging.stg_file")
        assert [record.data["load_seq"] for record in shown(many)["failing_rows"].records] == [0, 1, 2, 3, 4]
        for query, name in [
            ("select * from alerts.alert", "intermediate.finding_pregnancy"),
            ("from marts.fct_operator_limit", "marts.fct_operator_limit"),
        ]:
            assert "not named" in shown(failing_rows(con, query, name))["failing_rows"]


def test_failing_rows_of_every_model_of_findings_stay_unnamed(build: Path) -> None:
    union = (DBT_PROJECT / "models" / "alerts" / "alert.sql").read_text()
    models = re.findall(r"ref\('(finding_\w+)'\)", union)
    assert len(models) >= 12
    with duckdb.connect(build, read_only=True) as con:
        for model in models:
            rows = failing_rows(con, "select * from alerts.alert", f"intermediate.{model}")
            assert "not named" in shown(rows)["failing_rows"], model


def test_every_summary_can_be_asked_with_and_without_rows(build: Path) -> None:
    with duckdb.connect(build) as con:
        for name in SUMMARIES:
            told = contents_of(con, name)
            assert json.loads(json.dumps(told)) == told  # it goes from process to process
            assert told["dagster/row_count"] == row_count(con, name)
            con.execute(f"delete from {name}")
            assert shown(contents_of(con, name)) == {"dagster/row_count": 0, "summary": "no rows"}


def test_the_last_pages_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_docs, "KEPT", 3)
    for number in range(5):
        file = write_data_docs(tmp_path, f"b{9 - number}", f"page {number}")
        os.utime(file, (number, number))
    write_data_docs(tmp_path, "b7", "page 2 again")  # judged again: the newest now
    write_data_docs(tmp_path, "new", "page 5")
    kept = sorted(path.name for path in (tmp_path / "data_docs").iterdir())
    assert kept == ["b5.html", "b7.html", "new.html"]
    page = data_docs_file(tmp_path, "b7")
    assert page.read_text("utf-8") == "page 2 again"
    assert oct(page.stat().st_mode)[-3:] == "640"
