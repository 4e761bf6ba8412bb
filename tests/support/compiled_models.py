"""The models of the dbt project as SQL: compiled by one real build of a site, then run as often as a property needs."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

from orchestration.dbt_build import build_tables, ensure_manifest


def compiled_models(build_db: Path, as_of: date, places: tuple[str, ...]) -> list[tuple[str, str]]:
    """Builds every table of a database once.

    Args:
        build_db: the build database, with its raw tables.
        as_of: valid-time date of the build.
        places: folders below ``models/`` whose tables are wanted.

    Returns:
        name and compiled SQL of these tables in the order of the build; views and Python models are left out.
    """
    nodes = json.loads(ensure_manifest().read_bytes())["nodes"]
    build = build_tables(build_db, as_of, selection=("--exclude-resource-type", "test"))
    assert not build.failures
    return [
        (f"{node['schema']}.{node['name']}", result.compiled_code)
        for result in build.results
        if result.resource_type == "model"
        and (node := nodes[result.unique_id])["path"].startswith(places)
        and node["language"] == "sql"
        and node["config"]["materialized"] != "view"
    ]
