"""The files explain themselves: a database or a Parquet file alone gives the meaning and unit of each column."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
from support.published_sites import PublishedSites
from support.small_site import KEY

from orchestration.file_docs.dictionary import QUERIES
from orchestration.nightly import run_nightly
from orchestration.publication.snapshot import DEPARTMENT, RESTRICTED, WAREHOUSE
from orchestration.resources import silent

DATABASES = (WAREHOUSE, RESTRICTED, DEPARTMENT)

# End of a column's name (the longest that fits) -> what its comment must name.
UNITS = {
    "_usv": "µSv",
    "_msv": "mSv",
    "_mgy": "mGy",
    "_gy_cm2": "Gy·cm²",
    "_usv_per_gy_cm2": r"µSv/\(Gy·cm²\)",
    "_usv_per_h": "µSv/h",
    "_mgy_cm": "mGy·cm",
    "_cm2": "cm²",
    "_mm": r"\bmm\b",
    "_ma": r"\bmA\b",
    "_s": r"\bs\b|second",
    "_ms": r"\bms\b",
    "_per_s": "per second|/s",
    "_deg": "degree|°",
    "_years": "year",
    "_percent": "percent|%",
}


@pytest.fixture(scope="module")
def published(published_sites: PublishedSites, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = published_sites.copy("tiny", tmp_path_factory.mktemp("hospital") / "site")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOSELEDGER_KEY", KEY["DOSELEDGER_KEY"])
        # The second night keeps what the first one made: tables that only grow have their comments, too.
        assert run_nightly(root, date(2024, 5, 1), silent).outcome == "published"
        yield root / "data" / "published" / "current"


def comments(file: Path) -> dict[tuple[str, str], str | None]:
    with duckdb.connect(file, read_only=True) as con:
        found = con.execute(
            "select schema_name || '.' || table_name, column_name, comment from duckdb_columns() where not internal"
        ).fetchall()
    return {(table, column): comment for table, column, comment in found}


@pytest.mark.parametrize("name", DATABASES)
def test_each_relation_and_column_has_a_comment(published: Path, name: str) -> None:
    assert [where for where, comment in comments(published / name).items() if not comment] == []
    with duckdb.connect(published / name, read_only=True) as con:
        relations = con.execute(
            "select table_name, comment from duckdb_tables() union all"
            " select view_name, comment from duckdb_views() where not internal"
        ).fetchall()
    assert relations
    assert [table for table, comment in relations if not (comment or "").startswith("One row")] == []


@pytest.mark.parametrize("name", DATABASES)
def test_a_comment_names_the_unit_of_the_column(published: Path, name: str) -> None:
    without = []
    for (table, column), comment in comments(published / name).items():
        ending = max((end for end in UNITS if column.endswith(end)), key=len, default=None)
        if ending and not re.search(UNITS[ending], comment or ""):
            without.append(f"{table}.{column}: {comment}")
    assert without == []


def test_parquet_files_have_the_rows_and_comments_of_the_warehouse(published: Path) -> None:
    described = comments(published / WAREHOUSE)
    files = {f"{file.parent.name}.{file.stem}": file for file in (published / "parquet").glob("*/*.parquet")}
    assert set(files) == {table for table, _ in described}  # the views of the rules are files, too
    with duckdb.connect(published / WAREHOUSE, read_only=True) as con:
        for table, file in files.items():
            for field in pq.read_schema(file):
                assert (field.metadata or {})[b"comment"].decode() == described[table, field.name], (table, field.name)
            columns = con.execute(f"select column_name, column_type from (describe {table})").fetchall()
            in_file = con.execute(f"select column_name, column_type from (describe select * from '{file}')").fetchall()
            assert in_file == columns
            differing = f"(from {table} except all from '{file}') union all (from '{file}' except all from {table})"
            assert con.execute(f"select count(*) from ({differing})").fetchone() == (0,), table


@pytest.mark.parametrize("query", sorted(QUERIES.glob("*.sql")), ids=lambda query: query.stem)
def test_an_example_query_gives_the_columns_that_it_names(published: Path, query: Path) -> None:
    question, gives, _ = query.read_text("utf-8").split("\n", 2)
    assert question.endswith("?")
    with duckdb.connect(published / WAREHOUSE, read_only=True) as con:
        answer = con.execute(query.read_text("utf-8"))
        assert [column[0] for column in answer.description or ()] == gives.removeprefix("-- gives: ").split(", ")
        assert answer.fetchone() is not None


def test_linked_share_counts_no_dose_twice(published: Path) -> None:
    """Linked dose of staff by room is what persons have in their procedures, by a path of its own."""
    with duckdb.connect(published / WAREHOUSE, read_only=True) as con:
        by_room = con.execute(
            "select room_id, sum(linked_usv), sum(apportioned_usv) from ledger.linkage"
            " where wearer_kind = 'staff' and room_id <> 'unknown' group by all order by all"
        ).fetchall()
        by_person = con.execute(
            "select room_id, sum(hp10_usv), sum(hp10_apportioned_usv) from marts.fct_operator_procedure"
            " join marts.fct_procedure using (procedure_id) group by all order by all"
        ).fetchall()
        months = con.execute("select sum(hp10_over_apron_usv) from marts.fct_operator_month").fetchone()
        registered = con.execute(
            "select sum(registered_usv) from ledger.linkage where wearer_kind = 'staff'"
        ).fetchone()
    assert len(by_room) == 2
    for room, person in zip(by_room, by_person, strict=True):
        assert (room[0], float(room[1]), float(room[2])) == (
            person[0],
            pytest.approx(person[1]),
            pytest.approx(person[2]),
        )
    assert months and registered and float(registered[0]) == pytest.approx(months[0])
