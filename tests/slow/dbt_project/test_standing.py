"""What dbt makes of the project alone stands from night to night: left out only while it is there and the same."""

from __future__ import annotations

import json
from collections.abc import Iterator

import duckdb
import pytest

from orchestration.dbt_build import (
    NO_DATABASE,
    WITHOUT_STANDING,
    _environment,
    _invoke,
    ensure_manifest,
    parsed_project,
)
from orchestration.publication.build_record import made_from, record_input, stands

pytestmark = pytest.mark.slow
LIST = ("ls", "--output", "json", "--output-keys", "unique_id", "--exclude-resource-type", "unit_test")
SEED, VIEW = ("seeds", "limits"), ("staging", "stg_room")


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as con:
        con.execute("create schema seeds; create schema staging; create schema ops")
        con.execute("create table seeds.limits (x int); create view staging.stg_room as select 1 as x")
        con.execute(
            "create table ops.build (build_no bigint, build_id varchar, is_complete boolean, succeeded boolean)"
        )
        con.execute("insert into ops.build values (1, 'first', true, true)")
        record_input(con, "first", made_from("whatever"))
        yield con


@pytest.mark.parametrize(
    ("change", "still"),
    [
        ("select 1", True),
        ("drop view staging.stg_room", False),
        ("drop table seeds.limits", False),
        ("update ops.build set succeeded = false", False),
        ("insert into ops.build values (2, 'broken_off', false, false)", False),
        ("update ops.build_input set input_fingerprint = input_fingerprint || 'x'", False),
        ("drop table ops.build_input", False),
    ],
)
def test_they_stand_after_a_whole_build_by_this_product(
    con: duckdb.DuckDBPyConnection, change: str, still: bool
) -> None:
    con.execute(change)
    assert stands(con, "memory", [SEED, VIEW]) == still


def test_all_tables_and_all_tests_of_data_are_made_without_them() -> None:
    nodes = json.loads(ensure_manifest().read_bytes())["nodes"]
    tables = {i for i, node in nodes.items() if node["config"]["materialized"] in ("table", "incremental")}
    seeds = {i for i, node in nodes.items() if node["resource_type"] == "seed"}
    of_data = {
        i
        for i, node in nodes.items()
        if node["resource_type"] == "test" and not set(node["depends_on"]["nodes"]) <= seeds
    }
    with _environment(NO_DATABASE):
        listed = _invoke([*LIST, *WITHOUT_STANDING], lambda _: None, parsed_project())
    assert tables
    assert of_data
    assert {json.loads(line)["unique_id"] for line in listed.result} == tables | of_data
