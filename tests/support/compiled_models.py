"""The models of the dbt project as SQL: compiled by one real build of a site, then run as often as a property needs."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from support import paths

PROJECT = paths.DBT_PROJECT


def compiled_models(build_db: Path, folder: Path, as_of: date, places: tuple[str, ...]) -> list[tuple[str, str]]:
    """Builds every table of a database once.

    Args:
        build_db: the build database, with its raw tables.
        folder: where dbt may write.
        as_of: valid-time date of the build.
        places: folders below ``models/`` whose tables are wanted.

    Returns:
        name and compiled SQL of these tables in the order of the build; views and Python models are left out.
    """
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.cli.main import dbtRunner

    project = ("--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT), "--target-path", str(folder / "target"))
    quiet = ("--no-send-anonymous-usage-stats", "--no-version-check", "--no-use-colors", "--log-level", "none")
    arguments = ("build", "--resource-type", "seed", "model", "--vars", f'{{"as_of": "{as_of}"}}')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOSELEDGER_BUILD_DB", str(build_db))
        try:
            outcome = dbtRunner().invoke([*quiet, *arguments, *project, "--log-path", str(folder)])
        finally:
            DuckDBConnectionManager.close_all_connections()  # type: ignore[no-untyped-call]
    results: Any = outcome.result
    assert outcome.success, outcome.exception
    return [
        (f"{result.node.schema}.{result.node.name}", result.node.compiled_code)
        for result in results
        if result.node.path.startswith(places)
        and result.node.language == "sql"
        and result.node.config.materialized != "view"
    ]
