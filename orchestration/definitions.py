"""All that Dagster sees, on one screen.

Assembly only. Loading it touches no network and reads of a site at most the site.yaml that DOSELEDGER_SITE names.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import dagster as dg

from orchestration.assets import RAW, charts, dbt_models_from, expectations, gate_over, letters, publication
from orchestration.automation import (
    AS_OF,
    NIGHTLY,
    REBUILD,
    REBUILD_DATES,
    freshness_of,
    inbox_sensor,
    nightly_schedule,
    operations_letter_sensor,
    site_zone,
)
from orchestration.dbt_build import ensure_manifest
from orchestration.resources import Pull, Report, SiteResource, pull_now, silent
from orchestration.ui_metadata import raw_columns


def build_definitions(
    site_root: Path | None, report: Report = silent, pull: Pull = pull_now, *, is_retried: bool = False
) -> dg.Definitions:
    """The nightly line for one site.

    Args:
        site_root: the site folder; None = definitions to inspect, on UTC, without a sensor.
        report: called with the progress: step, done, to do.
        pull: fetches from the servers of the site; a caller that has done so already hands over what came of it.
        is_retried: whether steps for which a server is missing are retried, after minutes.
    """
    zone = site_zone(site_root)
    manifest = ensure_manifest()
    models = dbt_models_from(manifest)
    columns_of = raw_columns(json.loads(manifest.read_bytes()))
    raw = dg.map_asset_specs(
        lambda spec: spec.merge_attributes(
            metadata={"dagster/column_schema": columns_of[spec.key]} if spec.key in columns_of else {}
        ),
        RAW,
    )
    assets = dg.map_asset_specs(
        lambda spec: spec.replace_attributes(freshness_policy=freshness_of(spec.key, zone)),
        [*raw, models, gate_over(models), publication, letters, charts],
    )
    return dg.Definitions(
        assets=list(assets),
        asset_checks=[expectations],
        jobs=[NIGHTLY, REBUILD, REBUILD_DATES, AS_OF],
        schedules=[nightly_schedule(zone, has_site=site_root is not None)],
        sensors=[inbox_sensor, operations_letter_sensor] if site_root else [],
        resources={
            "site": SiteResource(
                root=str(site_root) if site_root else dg.EnvVar("DOSELEDGER_SITE"), is_retried=is_retried
            ),
            "report": report,
            "pull": pull,
        },
        executor=dg.in_process_executor,  # one writer of the build database, one import of everything
    )


@dg.definitions
def defs() -> dg.Definitions:
    """What `dagster dev` and the daemon load."""
    root = os.environ.get("DOSELEDGER_SITE")
    return build_definitions(Path(root) if root else None, is_retried=True)
