"""What a person does with dbt by hand, in the checkout or in a build database, harms no site."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import duckdb
import pytest
from support.small_site import KEY, RATES, export, make_site, write

from ingest.site.config import load_site
from orchestration import dbt_build
from orchestration.nightly import NightlyResult, run_nightly
from orchestration.product import DBT_PROJECT, PRODUCT
from orchestration.resources import silent


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Path]:
    """A copy of the product, so that no other test meets what is done in it."""
    folder = tmp_path / "product"
    for name in ("dbt_project", "expectations", "ingest", "orchestration"):
        shutil.copytree(PRODUCT / name, folder / name, ignore=shutil.ignore_patterns("target", "logs", "__pycache__"))
    yield folder


def test_dbt_parse_by_hand_harms_no_site(checkout: Path, tmp_path: Path) -> None:
    site = make_site(tmp_path / "site")
    write(site, f"{RATES}/a.csv", export(3600, 7200))
    environment = os.environ | KEY | {"PYTHONPATH": str(checkout), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    project = checkout / "dbt_project"
    by_hand: list[str | Path] = [
        Path(sys.executable).with_name("dbt"),
        "parse",
        "--project-dir",
        project,
        "--profiles-dir",
        project,
    ]
    elsewhere = environment | {"DOSELEDGER_BUILD_DB": str(tmp_path / "elsewhere.duckdb")}
    subprocess.run(by_hand, check=True, capture_output=True, env=elsewhere, cwd=project)
    (project / "target" / "manifest.json").write_text("{}")  # newer than every file, and of no use
    night = [sys.executable, "-P", "-c", "from orchestration.cli import app; app()", "run", "--site", str(site)]
    done = subprocess.run(night, capture_output=True, text=True, env=environment, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (project / "target" / "manifest.json").read_text() == "{}"


def test_what_is_parsed_is_kept_by_what_it_was_made_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert not dbt_build.ensure_manifest().is_relative_to(DBT_PROJECT)
    kept = dbt_build._parsed_from()
    monkeypatch.setattr(dbt_build, "PARSED_FROM", ("dbt_project/*.yml",))
    assert dbt_build._parsed_from() != kept


def test_without_a_cache_folder_each_process_has_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(write(tmp_path, "in_the_way", "a file")))
    folder = dbt_build._parsed_folder()
    assert folder == dbt_build._parsed_folder()
    assert not folder.is_relative_to(tmp_path)


def night(root: Path) -> NightlyResult:
    return run_nightly(root, date(2024, 4, 30), silent)


@pytest.mark.parametrize("lost", ["drop schema ops cascade", "drop table ops.date_partition", "drop table ops.build"])
def test_a_build_database_without_its_records_is_built_from_raw(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    monkeypatch.setenv("DOSELEDGER_KEY", KEY["DOSELEDGER_KEY"])
    root = make_site(tmp_path / "site")
    write(root, f"{RATES}/a.csv", export(3600, 7200))
    assert night(root).outcome == "published"
    with duckdb.connect(load_site(root).build_db) as con:
        con.execute(lost)
    write(root, f"{RATES}/b.csv", export(3600, day=6))
    result = night(root)
    assert result.outcome == "published", result.reasons
    assert result.folder is not None
    with duckdb.connect(result.folder / "warehouse.duckdb", read_only=True) as con:
        assert con.execute("select sum(ingested_usv) from ledger.dose_balance").fetchone() == (4,)
