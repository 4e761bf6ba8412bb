"""Each check of the gate is a check of its table: what failed last night, which rows, since when."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from support.small_site import KEY, RATES, export, make_site, write

from expectations.contract import TABLES
from expectations.suites import Settings, checks
from orchestration.automation import NIGHTLY
from orchestration.dagster_home.instance import dagster_home
from orchestration.dbt_build import ensure_manifest
from orchestration.definitions import build_definitions
from orchestration.expectation_checks import key_of
from orchestration.publication.history import current_publication
from orchestration.steps import DBT_MODELS, EXPECTATIONS, GATE, PUBLICATION

REFUSED = "status__of_20_or_more_files_few_are_quarantined"


def night(root: Path) -> dg.ExecuteInProcessResult:
    job = build_definitions(root).resolve_job_def(NIGHTLY.name)
    with dg.DagsterInstance.from_config(str(dagster_home(root))) as instance:
        return job.execute_in_process(
            instance=instance,
            raise_on_error=False,
            run_config={"ops": {DBT_MODELS: {"config": {"as_of": "2024-03-31"}}}},
        )


def check_alone(root: Path, key: dg.AssetCheckKey) -> dg.ExecuteInProcessResult:
    job = dg.define_asset_job("one_check", selection=dg.AssetSelection.checks(key))
    definitions = dg.Definitions.merge(build_definitions(root), dg.Definitions(jobs=[job]))
    with dg.DagsterInstance.from_config(str(dagster_home(root))) as instance:
        return definitions.resolve_job_def(job.name).execute_in_process(instance=instance, raise_on_error=False)


def test_every_check_and_dbt_test_is_a_check_of_an_asset_with_a_name_of_its_own() -> None:
    definitions = build_definitions(None)
    specs = {spec.key: spec for asset in definitions.resolve_asset_graph().assets_defs for spec in asset.check_specs}
    for check in checks(Settings()):
        key = key_of(check)
        assert key.asset_key.path == (check.table.split(".") if check.table in TABLES else [GATE]), key
        assert check.rule in str(specs[key].description)
        assert specs[key].metadata["what_to_do"] == check.advice
    assert len({key_of(check) for check in checks(Settings())}) == len(checks(Settings()))
    nodes = json.loads(ensure_manifest().read_bytes())["nodes"].values()
    tests = {node["name"] for node in nodes if node["resource_type"] == "test"}
    assert tests <= {key.name for key in specs}
    # A limit of the site is no part of a name: the history goes on when it is changed.
    assert {key_of(check) for check in checks(Settings())} == {
        key_of(check) for check in checks(Settings(max_quarantined_files_share=Decimal(1)))
    }


def test_a_check_that_blocks_shows_its_table_its_rows_and_its_history(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOSELEDGER_KEY", KEY["DOSELEDGER_KEY"])
    root = make_site(tmp_path / "site")
    write(root, f"{RATES}/good.csv", export(3600, 7200))
    for number in range(20):
        write(root, f"{RATES}/junk{number}.csv", f"no export {number}")
    blocked = night(root)
    steps = {event.step_key for event in blocked.all_events if event.event_type_value == "STEP_SUCCESS"}
    failed = {event.step_key for event in blocked.get_step_failure_events()}
    assert EXPECTATIONS in steps
    assert failed == {GATE}  # the verdict; nothing behind it ran
    assert not blocked.asset_materializations_for_node(PUBLICATION)
    assert current_publication(root / "data" / "published") is None

    found = {evaluation.asset_check_key: evaluation for evaluation in blocked.get_asset_check_evaluations()}
    (key,) = [key for key in found if key.name == REFUSED]
    assert key.asset_key.path == ["ledger", "file"]
    evaluation = found[key]
    assert (evaluation.passed, evaluation.severity) == (False, dg.AssetCheckSeverity.ERROR)
    shown: dict[str, Any] = {name: value.value for name, value in evaluation.metadata.items()}
    assert shown["failing_rows"] == 1
    assert shown["highest_allowed"] == 0.05
    assert shown["largest_value"] == pytest.approx(20 / 21)
    keys = evaluation.metadata["failing_keys"]
    assert isinstance(keys, dg.TableMetadataValue)
    assert [record.data for record in keys.records] == [{"row": "quarantined=20, files=21"}]
    missing = {key_of(check) for check in checks(Settings())} - found.keys()
    assert not missing
    broken = {key.name for key, evaluation in found.items() if not evaluation.passed}
    assert broken == {REFUSED, "plausible"}

    # The site takes them: the check alone, on the same build, now holds, and its history goes on.
    write(root, "site.yaml", "site_id: small\nname: Small\ngate: {max_quarantined_files_share: 1}\n")
    assert check_alone(root, key).success
    with dg.DagsterInstance.from_config(str(dagster_home(root))) as instance:
        history = instance.event_log_storage.get_asset_check_execution_history(key, limit=5)
        assert [record.status.value for record in history] == ["SUCCEEDED", "FAILED"]
