"""The dbt project on an empty warehouse: every unit test of its models, and no column left without a description.

What the models make of whole hospitals is compared with their truth elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from support import paths

from ingest.raw.build_db import raw_ddl
from orchestration.publication.build_record import set_run

PROJECT = paths.DBT_PROJECT
PROPERTIES = [yaml.safe_load(path.read_text("utf-8")) for path in sorted(PROJECT.glob("models/**/_*.yml"))]
UNIT_TESTS = sorted(test["name"] for content in PROPERTIES for test in content.get("unit_tests", []))
COLUMNS = """
    select table_name, list(column_name order by column_name)
    from information_schema.columns
    where table_schema in ('staging', 'intermediate', 'marts', 'ledger', 'department', 'alerts')
    group by table_name
"""


@dataclass(frozen=True)
class Build:
    """An empty warehouse with every table, and what each unit test said: '' or how it failed."""

    database: Path
    said: dict[str, str]


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    folder = tmp_path_factory.mktemp("dbt_units")
    database = folder / "doseledger.duckdb"
    with duckdb.connect(database) as con:
        con.execute(raw_ddl())
        set_run(con, date(2024, 3, 31), may_become_current=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOSELEDGER_BUILD_DB", str(database))
        built = _dbt(folder, "build", "--resource-type", "seed", "model")
        assert {status for _, status, _ in built} <= {"success"}
        tested = _dbt(folder, "test", "--select", "test_type:unit")
    return Build(database, {name: "" if status == "pass" else message for name, status, message in tested})


def _dbt(folder: Path, *arguments: str) -> list[tuple[str, str, str]]:
    """Name, status and message of every node that dbt ran, in this process."""
    from dbt.cli.main import dbtRunner

    project = ("--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT))
    output = ("--target-path", str(folder / "target"), "--log-path", str(folder))
    quiet = ("--no-send-anonymous-usage-stats", "--no-version-check", "--no-use-colors", "--log-level", "none")
    outcome = dbtRunner().invoke([*quiet, *arguments, *project, *output])
    assert outcome.exception is None, outcome.exception
    results: Any = outcome.result
    return [(result.node.name, str(result.status), str(result.message)) for result in results]


@pytest.mark.parametrize("name", UNIT_TESTS)
def test_unit(build: Build, name: str) -> None:
    assert build.said[name] == ""


def test_every_column_of_every_model_is_described(build: Build) -> None:
    described = {
        model["name"]: sorted(column["name"] for column in model["columns"])
        for content in PROPERTIES
        for model in content.get("models", [])
    }
    with duckdb.connect(build.database, read_only=True) as con:
        made = dict(con.execute(COLUMNS).fetchall())
    assert made == described
