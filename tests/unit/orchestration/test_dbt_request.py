"""What a night asks of dbt's process arrives there whole."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

from orchestration.dbt_build import DbtBuild
from orchestration.dbt_process import _request, _requested


def test_a_build_is_asked_for_with_all_that_it_says() -> None:
    build = DbtBuild(Path("/site/build.duckdb"), date(2024, 3, 6), ["--select", "stg_site"], True, {"block_rows": 7})
    assert _requested(json.dumps(_request(build))) == build
