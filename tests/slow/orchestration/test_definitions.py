"""What Dagster sees: it loads without a network and without a site, and shows every published table with its words."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import duckdb
import pytest
from support.small_site import KEY, RATES, export, make_site, write

from expectations.contract import RULES, TABLES
from expectations.suites import SUITES
from ingest.pseudonymise import load_key
from ingest.raw.build_db import open_build, raw_ddl
from ingest.raw.loader import load_dosimeters
from ingest.raw.reference_load import load_reference
from ingest.site.config import load_site
from orchestration import dbt_build
from orchestration.automation import NIGHTLY, inbox_sensor
from orchestration.definitions import build_definitions, defs
from orchestration.letters.operations import PULL, SITE, STEPS
from orchestration.publication.snapshot import SCHEMAS
from orchestration.resources import SiteResource
from orchestration.steps import AFTER_PUBLICATION, EXPECTATIONS, PUBLICATION, RAW


@pytest.fixture(scope="module")
def without_site() -> dg.Definitions:
    return build_definitions(None)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def refuse(*_: object) -> None:
        raise AssertionError("loading the definitions must not touch the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    yield


def specs_of(definitions: dg.Definitions) -> dict[str, dg.AssetSpec]:
    return {".".join(spec.key.path): spec for spec in definitions.resolve_all_asset_specs()}


@pytest.mark.usefixtures("no_network")
def test_loads_as_the_server_loads_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # Nothing but site.yaml is there: nothing else can be read.
    write(tmp_path, "site.yaml", "site_id: alone\nname: Alone\ntimezone: America/Montevideo\n")
    monkeypatch.setenv("DOSELEDGER_SITE", str(tmp_path))
    definitions = defs()
    assert isinstance(definitions, dg.Definitions)
    dg.Definitions.validate_loadable(definitions)
    (schedule,) = definitions.schedules or []
    assert isinstance(schedule, dg.ScheduleDefinition)
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("30 3 * * *", "America/Montevideo")
    assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING
    assert [sensor.name for sensor in definitions.sensors or []] == ["inbox", "operations_letter"]
    policy = specs_of(definitions)["publication"].freshness_policy
    assert "America/Montevideo" in str(policy)


def test_without_a_site_nothing_is_started(without_site: dg.Definitions) -> None:
    dg.Definitions.validate_loadable(without_site)
    (schedule,) = without_site.schedules or []
    assert isinstance(schedule, dg.ScheduleDefinition)
    assert schedule.execution_timezone == "UTC"
    assert schedule.default_status == dg.DefaultScheduleStatus.STOPPED
    assert not without_site.sensors


def test_every_published_table_is_an_asset_with_words_and_columns(without_site: dg.Definitions) -> None:
    specs = specs_of(without_site)
    for name, table in TABLES.items():
        spec = specs[name]
        assert spec.description, name
        assert {"dbt", "duckdb"} <= spec.kinds, name
        assert spec.group_name == name.split(".")[0]
        columns = spec.metadata["dagster/column_schema"].columns
        assert set(table.columns) <= {column.name for column in columns}, name
        assert all(column.description for column in columns), name
    assert {f"alerts.{rule}" for rule in RULES} <= specs.keys()


def test_every_raw_table_is_told_column_by_column(without_site: dg.Definitions) -> None:
    with duckdb.connect() as con:
        con.execute(raw_ddl())
        made = con.execute(
            "select table_name || '.' || column_name from duckdb_columns() where schema_name = 'raw'"
            " and table_name not in ('warehouse', 'file_stat', 'input_file', 'archived_export')"  # of ingest alone
        ).fetchall()
    told = [
        column
        for name, spec in specs_of(without_site).items()
        if name.startswith("raw.") and "dagster/column_schema" in spec.metadata
        for column in spec.metadata["dagster/column_schema"].columns
    ]
    assert {column.name for column in told} == {name for (name,) in made}
    assert all(column.type for column in told)
    assert "de-identified" in {column.name: column.description for column in told}["file.path"]


def test_the_groups_read_like_the_line(without_site: dg.Definitions) -> None:
    groups = {spec.group_name for spec in specs_of(without_site).values()}
    assert {
        "raw",
        "seeds",
        "staging",
        "reports",
        "clocks",
        "links",
        "marts",
        "ledger",
        "alerts",
        "publication",
    } <= groups
    assert "intermediate" not in groups


def test_the_line_hangs_together(without_site: dg.Definitions) -> None:
    specs = specs_of(without_site)
    dbt_assets = {name for name, spec in specs.items() if "dbt" in spec.kinds}
    raw = {name for name in specs if name.startswith("raw.")}
    assert raw == {"raw.reference_files", "raw.received_objects", "raw.dose_reports", "raw.dosimeter_exports"}
    above = {name: {".".join(dep.asset_key.path) for dep in spec.deps} for name, spec in specs.items()}
    # The tables that may be published come last of what dbt builds.
    published = {name for name in dbt_assets if name.split(".")[0] in (*SCHEMAS, "department")}
    assert above["gate"] == published >= TABLES.keys()
    assert above["publication"] == {"gate"}
    assert above["letters"] == {"publication"}
    assert above["charts"] == {"publication"}
    assert above["raw.dose_reports"] == {"raw.received_objects"}
    assert raw - {"raw.received_objects"} <= set().union(*(above[name] for name in dbt_assets))
    assert set(specs) == dbt_assets | raw | {"gate", "publication", "letters", "charts"}
    for name in raw | {"gate", "publication", "letters", "charts"}:
        assert specs[name].description, name
        assert specs[name].owners, name


def test_one_writer_and_blocking_checks(without_site: dg.Definitions) -> None:
    assets = list(without_site.resolve_asset_graph().assets_defs)
    suites = {spec.name: spec for asset in assets for spec in asset.check_specs if spec.key.asset_key.path == ["gate"]}
    assert {name for name, spec in suites.items() if spec.blocking} == set(SUITES)
    assert all(spec.description for spec in suites.values())
    executable = [asset for asset in assets if asset.is_executable]
    assert len(executable) == 10
    assert {asset.op.pool for asset in executable} == {"duckdb_write"}


def test_the_sensor_asks_once_for_what_is_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOSELEDGER_KEY", KEY["DOSELEDGER_KEY"])
    root = make_site(tmp_path / "site")

    def look() -> dg.RunRequest | dg.SkipReason:
        with dg.build_sensor_context(resources={"site": SiteResource(root=str(root))}) as context:
            answer = inbox_sensor(context)
        assert isinstance(answer, dg.RunRequest | dg.SkipReason)
        return answer

    reference = look()  # the reference files were never read
    assert isinstance(reference, dg.RunRequest)
    write(root, f"{RATES}/a.csv", "Badge;Time;Rate;Hub\n")
    file = look()
    assert isinstance(file, dg.RunRequest)
    assert file.run_key != reference.run_key  # Dagster starts one run for each key
    site = load_site(root)
    with open_build(site, load_key("small", KEY)) as con:
        load_reference(con, site)
        load_dosimeters(con, site, load_key("small", KEY))
    assert isinstance(look(), dg.SkipReason)
    (root / "site.yaml").write_text("site_id: [\n")
    refused = look()
    assert isinstance(refused, dg.SkipReason)
    assert "site.yaml" in str(refused.skip_message)


HOLDER = """
import sys
from pathlib import Path
from ingest.raw.build_db import run_lock
from ingest.site.config import load_site
with run_lock(load_site(Path(sys.argv[1]))):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_while_a_run_is_going_on_the_sensor_starts_none_and_a_later_look_finds_the_arrival(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOSELEDGER_KEY", KEY["DOSELEDGER_KEY"])
    root = make_site(tmp_path / "site")
    site, key = load_site(root), load_key("small", KEY)
    with open_build(site, key) as con:
        load_reference(con, site)

    def look() -> dg.RunRequest | dg.SkipReason:
        with dg.build_sensor_context(resources={"site": SiteResource(root=str(root))}) as context:
            answer = inbox_sensor(context)
        assert isinstance(answer, dg.RunRequest | dg.SkipReason)
        return answer

    command = [sys.executable, "-c", HOLDER, str(root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, **KEY}) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == b"held\n"
        write(root, f"{RATES}/arrived.csv", export(3600))
        skipped = look()
        assert isinstance(skipped, dg.SkipReason)
        assert "A run is going on" in str(skipped.skip_message)
        # A run that was requested just before is refused before its first step, and writes nothing.
        job = build_definitions(root).resolve_job_def(NIGHTLY.name)
        with dg.instance_for_test() as instance:
            refused = job.execute_in_process(instance=instance, raise_on_error=False)
        assert not refused.success
        assert not refused.get_step_failure_events()
        run.communicate()
    with open_build(site, key) as con:
        assert con.execute("select count(*) from raw.file").fetchone() == (0,)
    request = look()
    assert isinstance(request, dg.RunRequest)
    with open_build(site, key) as con:
        load_dosimeters(con, site, key)
        assert con.execute("select path, status from raw.file").fetchall() == [(f"{RATES}/arrived.csv", "loaded")]
    assert isinstance(look(), dg.SkipReason)


def test_the_manifest_is_parsed_only_when_a_file_is_newer(monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = dbt_build.ensure_manifest()
    monkeypatch.setattr(dbt_build, "_invoke", lambda *_: pytest.fail("parsed again"))
    assert dbt_build.ensure_manifest() == manifest


def test_the_steps_that_letters_name_are_those_of_the_job(without_site: dg.Definitions) -> None:
    """A name that no step has would never be met; a step after the publication without a name would be misreported."""
    steps = {node.name for node in without_site.resolve_job_def(NIGHTLY.name).nodes}
    steps.remove(EXPECTATIONS)  # its failure is one of the gate
    assert {RAW if step.startswith(f"{RAW}__") else step for step in steps} == set(STEPS) - {SITE, PULL}
    follow = {
        name: {".".join(dep.asset_key.path) for dep in spec.deps} for name, spec in specs_of(without_site).items()
    }
    after = {PUBLICATION}
    while more := {name for name, needed in follow.items() if needed & after} - after:
        after |= more
    assert after - {PUBLICATION} == AFTER_PUBLICATION
