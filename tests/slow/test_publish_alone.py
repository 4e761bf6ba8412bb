"""A blocked or killed publication leaves the old one in place, also when the asset is materialised alone."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import dagster as dg
import duckdb
import pytest
from small_build import add_build, make_build, pass_gate
from small_site import KEY

from expectations import suites
from ingest.synthetic import write_hospital
from orchestration.definitions import build_definitions
from orchestration.instance import dagster_home
from orchestration.nightly import rebuild, run_nightly
from orchestration.publications import current_publication
from orchestration.publish import Publication, publish
from orchestration.resources import silent

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A published demo hospital."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOSELEDGER_KEY", KEY["DOSELEDGER_KEY"])
        root = tmp_path_factory.mktemp("hospital") / "site"
        write_hospital(root, "tiny")
        result = run_nightly(root, date(2024, 4, 30), silent)
        assert result.outcome == "published", result.reasons
        yield root


def current_of(site: Path) -> Path:
    return (site / "data" / "published" / "current").resolve()


def materialize_alone(site: Path, asset: str) -> dg.ExecuteInProcessResult:
    """What the button in Dagster's UI does."""
    job = build_definitions(site).resolve_implicit_global_asset_job_def()
    with dg.DagsterInstance.from_config(str(dagster_home(site))) as instance:
        return job.execute_in_process(instance=instance, asset_selection=[dg.AssetKey(asset)], raise_on_error=False)


def test_the_same_again_is_nothing_new(site: Path) -> None:
    before = current_of(site)
    result = run_nightly(site, date(2024, 4, 30), silent)
    assert (result.outcome, result.folder, result.letters) == ("nothing_new", before, [])
    assert current_of(site) == before


def test_publication_alone_publishes_a_judged_build_once(site: Path) -> None:
    before = current_of(site)
    result = materialize_alone(site, "publication")
    assert result.success
    (materialization,) = result.asset_materializations_for_node("publication")
    assert materialization.metadata["is_new"].value is False
    assert current_of(site) == before


def test_a_rebuild_says_the_same(site: Path) -> None:
    before = current_of(site)
    result = rebuild(site, silent)
    assert result.outcome == "published", result.reasons
    assert current_of(site) == result.folder != before
    assert result.letters == []  # every finding was told already
    with duckdb.connect() as con:
        con.execute(f"attach '{before}/restricted/restricted.duckdb' as old (read_only)")
        con.execute(f"attach '{result.folder}/restricted/restricted.duckdb' as new (read_only)")
        tables = con.execute(
            "select schema_name || '.' || table_name from duckdb_tables() where database_name = 'new'"
            " and table_name not in ('publication', 'alert_history')"
        ).fetchall()
        assert tables
        for (name,) in tables:
            changed = con.execute(
                f"select count(*) from ((from old.{name} except all from new.{name})"
                f" union all (from new.{name} except all from old.{name}))"
            ).fetchone()
            assert changed == (0,), name


def test_a_broken_expectation_of_each_suite_keeps_the_old_publication(site: Path) -> None:
    before = current_of(site)
    breaks = [
        suites.OffenderCheck(
            *(suite, "block", "marts.fct_procedure", "kap_gy_cm2", "KAP is zero", "risk", "Do this.", "test"),
            offenders="select procedure_id from marts.fct_procedure where kap_gy_cm2 > 0",
        )
        for suite in suites.SUITES
    ]
    ours = suites.checks
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("expectations.gate.checks", lambda settings: [*ours(settings), *breaks])
        result = run_nightly(site, date(2024, 5, 1), silent)
    assert result.outcome == "failed"
    assert [reason.partition(":")[0] for reason in result.reasons] == list(suites.SUITES)
    for reason in result.reasons:
        assert "marts.fct_procedure.kap_gy_cm2: KAP is zero;" in reason
        assert reason.endswith("Do this.")
    assert current_of(site) == before

    alone = materialize_alone(site, "publication")
    assert not alone.success
    (failure,) = alone.get_step_failure_events()
    assert failure.step_failure_data.user_failure_data is not None
    assert failure.step_failure_data.user_failure_data.description == "\n".join(result.reasons)
    assert current_of(site) == before


def test_a_failing_table_is_named_and_keeps_the_old_publication(site: Path) -> None:
    before = current_of(site)
    with duckdb.connect(site / "data" / "build" / "doseledger.duckdb") as con:
        con.execute("alter table raw.dose_report rename study_instance_uid to study_uid")
    try:
        result = run_nightly(site, date(2024, 5, 1), silent)
    finally:
        with duckdb.connect(site / "data" / "build" / "doseledger.duckdb") as con:
            con.execute("alter table raw.dose_report rename study_uid to study_instance_uid")
    assert result.outcome == "failed"
    assert any("study_instance_uid" in reason for reason in result.reasons), result.reasons
    assert not any("Traceback" in reason for reason in result.reasons)
    assert current_of(site) == before


def test_killed_at_any_moment(tmp_path: Path) -> None:
    """A process that publishes again and again is killed; `current` always names a whole, consistent publication."""
    build, published = make_build(tmp_path / "build" / "doseledger.duckdb"), tmp_path / "published"
    pass_gate(build)
    publish(build, published)
    endless = (
        "from pathlib import Path\nfrom orchestration.publish import publish\n"
        f"while True: publish(Path({str(build)!r}), Path({str(published)!r}), even_if_same=True)"
    )
    moments = random.Random(7)  # noqa: S311 - moments of a test
    for _ in range(8):
        process = subprocess.Popen([sys.executable, "-c", endless])
        known = current_publication(published)
        while current_publication(published) == known:  # it has started to publish
            assert process.poll() is None
            time.sleep(0.02)
        time.sleep(moments.uniform(0, 1))
        process.send_signal(signal.SIGKILL)
        process.wait()
        current = current_publication(published)
        assert current is not None
        with duckdb.connect(current.folder / "warehouse.duckdb", read_only=True) as con:
            assert con.execute("select max(run_id) from ledger.publication").fetchone() == (current.run_id,)
            assert con.execute("select count(*) from marts.fct_procedure").fetchone() == (2,)
    add_build(build, "b2", fingerprint="f2")
    pass_gate(build, "b2")
    last = publish(build, published)
    assert isinstance(last, Publication)
    assert not list(published.glob("*/.*.tmp"))
    assert (published / "current").resolve() == last.folder
