"""Imports between packages go downwards only, and every package with code is listed here."""

from __future__ import annotations

import ast

import pytest
from support import paths

from orchestration.product import deciding_files

ROOT = paths.ROOT
PACKAGES = ("ingest", "expectations", "orchestration", "synthetic_hospital", "tests")
# Each package with the packages that it never imports (docs/architecture.md).
NEVER = {
    "ingest": {
        "expectations",
        "orchestration",
        "synthetic_hospital",
        "tests",
        "dagster",
        "dagster_dbt",
        "dbt",
        "great_expectations",
    },
    "expectations": {
        "ingest",
        "orchestration",
        "synthetic_hospital",
        "tests",
        "dagster",
        "dagster_dbt",
        "dbt",
        "pydicom",
    },
    "orchestration": {"tests", "pydicom"},
    "synthetic_hospital": {"ingest", "expectations", "orchestration", "tests", "dagster", "dbt", "duckdb"},
}

# Where a private module of a library may be imported: each with its reason in CONTRIBUTING.md.
PRIVATE = ("orchestration/dagster_home/", "ingest/dose_reports/structure.py")


def imported_names(source: str) -> set[str]:
    """Top-level names of everything that a module imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("package", NEVER)
def test_imports_go_downwards_only(package: str) -> None:
    modules = sorted((ROOT / package).rglob("*.py"))
    assert modules
    wrong = {
        str(module.relative_to(ROOT)): sorted(names)
        for module in modules
        if (names := imported_names(module.read_text("utf-8")) & NEVER[package])
    }
    assert not wrong


def test_the_guard_sees_every_kind_of_import() -> None:
    source = "import dagster\n\ndef f():\n    from orchestration.cli import app\n    import a.b as c\n"
    assert imported_names(source) == {"dagster", "orchestration", "a"}


def private_modules(source: str) -> set[str]:
    """Modules and names with a leading underscore that a module imports from elsewhere, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.module != "__future__":
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in names if any(part.startswith("_") for part in name.split("."))}


def test_private_modules_are_imported_in_the_named_places_only() -> None:
    modules = sorted(module for package in NEVER for module in (ROOT / package).rglob("*.py"))
    wrong = {
        name: sorted(found)
        for module in modules
        if not (name := module.relative_to(ROOT).as_posix()).startswith(PRIVATE)
        and (found := private_modules(module.read_text("utf-8")))
    }
    assert not wrong
    assert private_modules((ROOT / PRIVATE[1]).read_text("utf-8"))  # the guard sees what there is


def test_only_the_packages_of_the_design_hold_code() -> None:
    folders = {path.parent.name for path in ROOT.glob("*/*.py")} - {".venv"}
    assert folders <= {*PACKAGES, "benchmarks"}


def test_every_module_opens_with_what_belongs_in_it() -> None:
    for package in NEVER:
        for module in sorted((ROOT / package).rglob("*.py")):
            assert ast.get_docstring(ast.parse(module.read_text("utf-8"))), module


def test_every_module_that_decides_a_number_is_part_of_the_product_fingerprint() -> None:
    decides = {path for folder in ("ingest", "expectations") for path in (ROOT / folder).rglob("*.py")}
    assert decides
    assert decides <= set(deciding_files())
