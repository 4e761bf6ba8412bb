"""A blocked or killed publication leaves the old one in place, also when the asset is materialised alone."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import date
from email import message_from_bytes
from email.policy import SMTP
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest
from support.small_build import add_build, make_build, pass_gate
from support.small_site import KEY

from expectations import suites
from orchestration import assets
from orchestration.dagster_home.instance import dagster_home
from orchestration.definitions import build_definitions
from orchestration.nightly import rebuild, run_nightly
from orchestration.publication.data_docs import data_docs_file
from orchestration.publication.history import current_publication
from orchestration.publication.publish import Publication, publish
from orchestration.resources import silent
from synthetic_hospital import write_hospital


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A published demo hospital."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOSELEDGER_KEY", KEY["DOSELEDGER_KEY"])
        root = tmp_path_factory.mktemp("hospital") / "site"
        write_hospital(root, "tiny")
        description = root / "site.yaml"
        operations = "mail:\n  operations: [operations@hospital.example]"
        description.write_text(description.read_text("utf-8").replace("mail:", operations, 1), "utf-8")
        progress: dict[str, tuple[int, int]] = {}
        result = run_nightly(root, date(2024, 4, 30), lambda step, *counted: progress.update({step: counted}))
        assert result.outcome == "published", result.reasons
        assert {"dose reports", "dosimeter exports", "tables and tests", "checks", "publication"} <= progress.keys()
        assert all(done == total for done, total in progress.values()), progress
        yield root


def current_of(site: Path) -> Path:
    return (site / "data" / "published" / "current").resolve()


def last_letter_to_operations(site: Path) -> str:
    letters = (site / "data" / "outbox").glob("*_operations_*.eml")
    newest = max(letters, key=lambda letter: letter.stat().st_mtime_ns)
    body = message_from_bytes(newest.read_bytes(), policy=SMTP).get_body(("plain",))
    assert body is not None
    return str(body.get_content())


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
            " and table_name not in ('publication', 'alert_history', 'check_result')"
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
        suites.Check(
            suite=suite,
            severity="block",
            table="marts.fct_procedure",
            column="kap_gy_cm2",
            rule="KAP is zero",
            risk="risk",
            advice="Do this.",
            source="test",
            unexpected_rows="select procedure_id from marts.fct_procedure where kap_gy_cm2 > 0",
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
    letter = last_letter_to_operations(site)
    assert all(reason in letter for reason in result.reasons)
    assert "expectations/README.md" in letter
    assert str(site / "data" / "data_docs") in letter
    told_in_the_ui(site)

    alone = materialize_alone(site, "publication")
    assert not alone.success
    (failure,) = alone.get_step_failure_events()
    assert failure.step_failure_data.user_failure_data is not None
    assert failure.step_failure_data.user_failure_data.description == "\n".join(result.reasons)
    assert current_of(site) == before


def told_in_the_ui(site: Path) -> None:
    """Each suite's check says what failed, names rows by their keys, and points to the page of this build."""
    with duckdb.connect(site / "data" / "build" / "doseledger.duckdb", read_only=True) as con:
        (build_id,) = con.execute("select build_id from ops.build order by build_no desc limit 1").fetchone() or ("",)
        (procedure,) = con.execute(
            "select min(procedure_id) from marts.fct_procedure where kap_gy_cm2 > 0"
        ).fetchone() or ("",)
    with dg.DagsterInstance.from_config(str(dagster_home(site))) as instance:
        for suite in suites.SUITES:
            key = dg.AssetCheckKey(dg.AssetKey("gate"), suite)
            (last,) = instance.event_log_storage.get_asset_check_execution_history(key, limit=1)
            assert last.event is not None
            assert last.event.dagster_event is not None
            found = last.event.dagster_event.asset_check_evaluation_data
            metadata: Any = found.metadata
            assert not found.passed
            assert found.blocking
            assert "marts.fct_procedure.kap_gy_cm2: KAP is zero;" in metadata["failures"].value
            rows = [record.data for record in metadata["failing_rows"].records]
            assert rows[-5]["for example"] == f"procedure_id={procedure}"
            assert (rows[-1]["effect"], rows[-1]["should hold"]) == ("block", "KAP is zero")
            page = Path(metadata["data_docs"].value)
            assert page == data_docs_file(site / "data", build_id)
            assert "KAP is zero" in page.read_text("utf-8")
            assert oct(page.stat().st_mode)[-3:] == "640"


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
    assert "study_instance_uid" in last_letter_to_operations(site)


def test_a_failing_test_names_the_rows(site: Path) -> None:
    build = site / "data" / "build" / "doseledger.duckdb"
    with duckdb.connect(build) as con:
        con.execute("insert into raw.ref_rooms (line, name) values (99, 'Nameless')")
        con.execute(
            "update intermediate.int_study_effective_dose set estimate_gap = 'moon'"
            " where study_key = (select min(study_key) from intermediate.int_study_effective_dose)"
        )
        study_key = con.execute("select min(study_key) from intermediate.int_study_effective_dose").fetchall()[0][0]
    try:
        with dg.DagsterInstance.from_config(str(dagster_home(site))) as instance:
            job = build_definitions(site).resolve_implicit_global_asset_job_def()
            tested = [dg.AssetKey(["staging", "stg_room"]), dg.AssetKey(["intermediate", "int_procedure"])]
            result = job.execute_in_process(instance=instance, asset_selection=tested, raise_on_error=False)
    finally:
        with duckdb.connect(build) as con:
            con.execute("delete from raw.ref_rooms where line = 99")
    assert not result.success
    (failed,) = [found for found in result.get_asset_check_evaluations() if not found.passed]
    assert failed.check_name == "every_decision_is_made"
    rows: Any = failed.metadata["failing_rows"]
    study, room = [record.data for record in rows.records]
    assert (study["table_name"], study["row_key"]) == ("int_study_effective_dose", str(study_key))
    assert room == {"table_name": "stg_room", "gap_columns": "room_id is null", "row_key": None}  # keys only


def test_pictures_that_cannot_be_drawn_stop_nothing_else(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Patched, because no build is known whose pictures cannot be drawn."""
    before = current_of(site)
    with monkeypatch.context() as patch:
        patch.setattr(assets, "pictures_of", lambda _: 1 / 0)
        result = run_nightly(site, date(2024, 5, 2), silent)
    assert result.outcome == "failed"
    assert result.folder == current_of(site) != before
    assert any("charts" in reason for reason in result.reasons), result.reasons
    (shown,) = materialize_alone(site, "charts").asset_materializations_for_node("charts")
    assert "linkage by day" in shown.metadata


def test_killed_at_any_moment(tmp_path: Path) -> None:
    """A process that publishes again and again is killed; `current` always names a whole, consistent publication."""
    build, published = make_build(tmp_path / "build" / "doseledger.duckdb"), tmp_path / "published"
    pass_gate(build)
    publish(build, published)
    endless = (
        "from pathlib import Path\nfrom orchestration.publication.publish import publish\n"
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
            assert con.execute("select max_by(run_id, published_at) from ledger.publication").fetchone() == (
                current.run_id,
            )
            assert con.execute("select count(*) from marts.fct_procedure").fetchone() == (2,)
    add_build(build, "b2", fingerprint="f2")
    pass_gate(build, "b2")
    last = publish(build, published)
    assert isinstance(last, Publication)
    assert not list(published.glob("*/.*.tmp"))
    assert (published / "current").resolve() == last.folder
