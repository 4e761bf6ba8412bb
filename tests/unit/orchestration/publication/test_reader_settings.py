"""What the page of readers says of a server on the warehouse: a query reaches nothing but the opened file."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import pytest
from support import paths

OPENING = "duckdb.connect(file, read_only=True, config={"
SETTINGS = {"enable_external_access": "false", "lock_configuration": "true"}
TRAPS = (
    "select * from read_text('{folder}/secret.txt')",
    "attach '{folder}/restricted.duckdb' as restricted (read_only)",
    "copy (select 1) to '{folder}/written.csv'",
)


@pytest.fixture
def warehouse(tmp_path: Path) -> Path:
    (tmp_path / "secret.txt").write_text("secret", "utf-8")
    for name in ("warehouse", "restricted"):
        with duckdb.connect(tmp_path / f"{name}.duckdb") as con:
            con.execute("create table doses as select 1 as hp10_usv")
    return tmp_path / "warehouse.duckdb"


def test_the_page_names_these_settings() -> None:
    text = (paths.ROOT / "docs" / "operations" / "readers.md").read_text("utf-8")
    (line,) = [line for line in text.splitlines() if line.startswith(OPENING)]
    assert dict(re.findall(r'"(\w+)": "(\w+)"', line)) == SETTINGS


@pytest.mark.parametrize("trap", TRAPS)
def test_a_query_reaches_nothing_but_the_opened_file(warehouse: Path, trap: str) -> None:
    with duckdb.connect(warehouse, read_only=True, config=dict(SETTINGS)) as con:
        assert con.execute("select hp10_usv from doses").fetchone() == (1,)
        with pytest.raises(duckdb.PermissionException):
            con.execute(trap.format(folder=warehouse.parent))
        with pytest.raises(duckdb.Error):
            con.execute("set enable_external_access = true")
    assert not (warehouse.parent / "written.csv").exists()


@pytest.mark.parametrize("trap", TRAPS)
def test_read_only_alone_does_not_hold_it(warehouse: Path, trap: str) -> None:
    with duckdb.connect(warehouse, read_only=True) as con:
        con.execute(trap.format(folder=warehouse.parent))
