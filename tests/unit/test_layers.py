"""The rooms' doors: an import goes downwards only, and the ledger of rooms is complete."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("ingest", "expectations", "orchestration", "tests")
# Each room with the rooms and the packages that it never knows (docs/architecture.md).
NEVER = {
    "ingest": {"expectations", "orchestration", "tests", "dagster", "dagster_dbt", "dbt", "great_expectations"},
    "expectations": {"ingest", "orchestration", "tests", "dagster", "dagster_dbt", "dbt", "pydicom"},
    "orchestration": {"tests", "pydicom"},
}


def imported_names(source: str) -> set[str]:
    """Top-level names of everything that a module imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("room", NEVER)
def test_imports_go_downwards_only(room: str) -> None:
    modules = sorted((ROOT / room).rglob("*.py"))
    assert modules
    wrong = {
        str(module.relative_to(ROOT)): sorted(names)
        for module in modules
        if (names := imported_names(module.read_text("utf-8")) & NEVER[room])
    }
    assert not wrong


def test_the_guard_sees_every_kind_of_import() -> None:
    source = "import dagster\n\ndef f():\n    from orchestration.cli import app\n    import a.b as c\n"
    assert imported_names(source) == {"dagster", "orchestration", "a"}


def test_only_the_rooms_of_the_card_hold_code() -> None:
    folders = {path.parent.name for path in ROOT.glob("*/*.py")} - {".venv"}
    assert folders <= {*ROOMS, "benchmarks"}


def test_every_module_opens_with_what_belongs_in_it() -> None:
    for room in NEVER:
        for module in sorted((ROOT / room).rglob("*.py")):
            assert ast.get_docstring(ast.parse(module.read_text("utf-8"))), module
