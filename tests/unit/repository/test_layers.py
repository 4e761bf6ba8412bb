"""Imports go downwards only, without a cycle; private modules of libraries are imported in two places."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import paths

ROOT = paths.ROOT
PACKAGES = ("ingest", "expectations", "orchestration", "synthetic_hospital", "tests")
OURS = set(PACKAGES)
# Each package with the packages that it never imports (docs/architecture.md).
NEVER = {
    "ingest": OURS - {"ingest"} | {"dagster", "dagster_dbt", "dbt", "great_expectations"},
    "expectations": OURS - {"expectations"} | {"dagster", "dagster_dbt", "dbt", "pydicom"},
    "orchestration": {"tests", "pydicom"},
    "synthetic_hospital": OURS - {"synthetic_hospital"} | {"dagster", "dagster_dbt", "dbt", "duckdb"},
}
# Modules that may import a private module of a library: each has its line in CONTRIBUTING.md.
MAY_IMPORT_PRIVATE = ("orchestration/dagster_home/", "ingest/dose_reports/structure.py")
# What is made for readers is made from published files: not from the build database, not from dbt.
FROM_PUBLISHED = ("orchestration/letters", "orchestration/figures", "orchestration/pages")
OF_THE_BUILD = re.compile(r"ingest\.raw\.(build_db|loader|writer|stores|reread)|orchestration\.dbt_build|dbt")


def imports_of(source: str) -> Iterator[str]:
    """Dotted names of everything that a module imports, wherever in it; a name may be a module or in one."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def modules(folder: str) -> list[Path]:
    found = sorted((ROOT / folder).rglob("*.py"))
    assert found
    return found


def importers(folder: str, is_wrong: re.Pattern[str]) -> dict[str, list[str]]:
    """Modules of a folder that import what the pattern matches from its beginning."""
    found = {str(module.relative_to(ROOT)): imports_of(module.read_text("utf-8")) for module in modules(folder)}
    wrong = {module: sorted(filter(is_wrong.match, names)) for module, names in found.items()}
    return {module: names for module, names in wrong.items() if names}


@pytest.mark.parametrize("package", NEVER)
def test_imports_go_downwards_only(package: str) -> None:
    assert importers(package, re.compile(rf"({'|'.join(NEVER[package])})(\.|$)")) == {}


@pytest.mark.parametrize("folder", FROM_PUBLISHED)
def test_what_readers_get_is_made_from_published_files(folder: str) -> None:
    assert importers(folder, OF_THE_BUILD) == {}


def test_private_modules_of_libraries_are_imported_in_two_places_only() -> None:
    private = re.compile(r"(?!_)(\w+\.)+_(?!_)\w")
    wrong = {module for package in NEVER for module in importers(package, private)}
    assert {module for module in wrong if not module.startswith(MAY_IMPORT_PRIVATE)} == set()
    assert wrong  # the pattern still finds the one that is allowed


def test_packages_import_each_other_without_a_cycle() -> None:
    """A package is a folder below ingest or orchestration, or a module directly in one of them."""
    arrows: defaultdict[str, set[str]] = defaultdict(set)
    for module in [*modules("ingest"), *modules("orchestration")]:
        own = box(".".join(module.relative_to(ROOT).with_suffix("").parts))
        arrows[own] |= {box(name) for name in imports_of(module.read_text("utf-8"))} - {own}
    while leaves := [name for name in arrows if not arrows[name] & arrows.keys()]:
        for leaf in leaves:
            del arrows[leaf]
    assert dict(arrows) == {}


def box(name: str) -> str:
    return ".".join(name.split(".")[:2])


def test_the_guard_sees_every_kind_of_import() -> None:
    source = "import dagster\n\ndef f():\n    from orchestration.cli import app\n    import a.b as c\n"
    assert set(imports_of(source)) == {"dagster", "orchestration.cli.app", "a.b"}


def test_only_the_packages_of_the_design_hold_code() -> None:
    folders = {path.parent.name for path in ROOT.glob("*/*.py")} - {".venv"}
    assert folders <= {*PACKAGES, "benchmarks"}


def test_every_module_opens_with_what_belongs_in_it() -> None:
    for package in NEVER:
        for module in modules(package):
            assert ast.get_docstring(ast.parse(module.read_text("utf-8"))), module
