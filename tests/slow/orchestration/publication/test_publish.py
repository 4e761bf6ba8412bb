"""The publication: what is refused, what a folder holds, who sees what, history, and the switch."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
from support.small_build import add_build, change, make_build, pass_gate
from support.small_site import make_site, the_key

from expectations.contract import RULES, TABLES
from expectations.gate import CheckResult, Failure, SuiteVerdict, Verdict, record
from expectations.suites import SUITES, Settings, checks
from ingest.raw.build_db import open_build
from ingest.site.config import load_site
from orchestration.dagster_home.instance import dagster_home
from orchestration.letters.delivery import deliver_troubles
from orchestration.letters.operations import Trouble
from orchestration.publication.data_docs import write_data_docs
from orchestration.publication.history import Clock, PublishRefused, current_publication, publications, roll_back
from orchestration.publication.publish import NothingNew, Publication, publish
from orchestration.publication.published_files import open_published

LATER = Clock(datetime(2200, 1, 1, tzinfo=UTC), date(2200, 1, 1))  # every publication is of the past


@pytest.fixture
def build(tmp_path: Path) -> Path:
    return make_build(tmp_path / "build" / "doseledger.duckdb")


@pytest.fixture
def published(tmp_path: Path) -> Path:
    return tmp_path / "published"


def publish_anew(build: Path, published: Path, build_id: str, as_of: str = "2024-03-31") -> Publication:
    """A further build from new input, passed by the gate and published."""
    add_build(build, build_id, as_of, fingerprint=f"input of {build_id}")
    pass_gate(build, build_id)
    outcome = publish(build, published)
    assert isinstance(outcome, Publication)
    return outcome


def first(build: Path, published: Path) -> Publication:
    pass_gate(build)
    outcome = publish(build, published)
    assert isinstance(outcome, Publication)
    return outcome


@contextmanager
def reading(file: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(file, read_only=True) as con:
        con.execute("set TimeZone = 'UTC'")
        yield con


# --- refusals ------------------------------------------------------------------------------------------------------


def test_refuses_without_any_build(tmp_path: Path, published: Path) -> None:
    with pytest.raises(PublishRefused, match="Nothing was built yet"):
        publish(tmp_path / "none.duckdb", published)


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("update ops.build set finished_at = null", "interrupted"),
        ("update ops.build set succeeded = false, failures = 'model x: no such column'", "model x: no such column"),
        ("update ops.build set is_complete = false", "only some"),
        ("drop table ops.verdict", "no verdict of structural, logical, plausible"),
        ("delete from ops.verdict where suite = 'logical'", "no verdict of logical"),
        ("update ops.verdict set build_id = 'another'", "no verdict of structural, logical, plausible"),
        ("delete from ops.build", "Nothing was built yet"),
    ],
)
def test_refuses_a_build_that_is_not_whole_or_not_judged(build: Path, published: Path, sql: str, reason: str) -> None:
    old = first(build, published)
    change(build, "update ops.build_input set input_fingerprint = 'new'")
    change(build, sql)
    with pytest.raises(PublishRefused, match=reason):
        publish(build, published)
    assert (published / "current").resolve() == old.folder


def test_refuses_what_the_gate_blocks_and_says_why(build: Path, published: Path) -> None:
    blocked = Failure("marts.fct_procedure", "kap_gy_cm2", "r", "block", 1, [], "KAP of P1 is -1.")
    warned = Failure("marts.fct_procedure", "kvp", "r", "warn", 1, [], "kVp is odd.")
    verdict = Verdict([SuiteVerdict(suite, 2, [blocked, warned] if suite == "plausible" else []) for suite in SUITES])
    with duckdb.connect(build) as con:
        record(con, "b1", verdict)
    with pytest.raises(PublishRefused) as refused:
        publish(build, published)
    assert str(refused.value) == "plausible: KAP of P1 is -1."
    assert not (published / "current").exists()


def test_a_later_build_needs_its_own_verdict(build: Path, published: Path) -> None:
    first(build, published)
    add_build(build, "b2", fingerprint="f2")
    with pytest.raises(PublishRefused, match="has not judged this build"):
        publish(build, published)


def test_refuses_to_lose_history_when_current_cannot_be_read(build: Path, published: Path) -> None:
    old = first(build, published)
    (old.folder / "restricted" / "restricted.duckdb").unlink()
    with pytest.raises(PublishRefused, match="history of findings would be lost"):
        publish(build, published)


# --- content -------------------------------------------------------------------------------------------------------


def test_has_every_table_and_view_of_the_contract(build: Path, published: Path) -> None:
    folder = first(build, published).folder
    own = {"ledger.publication", "ledger.alert_history", "ledger.check_result"}
    wanted = {*TABLES, *own, *(f"alerts.{rule}" for rule in RULES)}
    for file in ("warehouse.duckdb", "restricted/restricted.duckdb"):
        with reading(folder / file) as con:
            held = con.execute("select table_schema || '.' || table_name from information_schema.tables").fetchall()
        assert {name for (name,) in held} == wanted


def test_medical_physics_sees_nothing_restricted(build: Path, published: Path) -> None:
    folder = first(build, published).folder
    with reading(folder / "warehouse.duckdb") as con:
        assert con.execute("from alerts.pregnancy").fetchall() == []
        assert con.execute("select alert_id from alerts.alert").fetchall() == [("A0",), ("A1",), ("A2",)]
        assert con.execute("select alert_id from ledger.alert_history").fetchall() == [("A0",), ("A1",), ("A2",)]
        assert con.execute("select dose_window from marts.fct_operator_limit").fetchall() == [("calendar_year",)]
        columns = [row[0] for row in con.execute("describe marts.dim_operator").fetchall()]
    assert columns == ["operator_id", "specialty", "grade", "worker_category", "works_from", "works_to"]


def test_restricted_has_everything(build: Path, published: Path) -> None:
    folder = first(build, published).folder
    with reading(folder / "restricted" / "restricted.duckdb") as con:
        assert con.execute("select alert_id from alerts.pregnancy").fetchall() == [("A3",)]
        assert con.execute("select count(*) from ledger.alert_history").fetchone() == (4,)
        assert con.execute("select dose_window from marts.fct_operator_limit order by 1").fetchall() == [
            ("calendar_year",),
            ("pregnancy",),
        ]
        assert "pregnancy_declared_on" in [row[0] for row in con.execute("describe marts.dim_operator").fetchall()]


def test_a_restricted_finding_is_in_no_byte_that_medical_physics_gets(build: Path, published: Path) -> None:
    change(build, "update alerts.alert set message = 'SECRETSECRETSECRET' where audience = 'restricted'")
    folder = first(build, published).folder
    holding = [
        file.relative_to(folder).parts[0]
        for file in folder.rglob("*")
        if file.is_file() and b"SECRETSECRETSECRET" in file.read_bytes()
    ]
    assert holding == ["restricted"]


def test_modes(build: Path, published: Path) -> None:
    folder = first(build, published).folder

    def mode(name: str) -> int:
        return stat.S_IMODE((folder / name).stat().st_mode)

    assert mode("warehouse.duckdb") == 0o640
    assert mode("parquet/marts/fct_procedure.parquet") == 0o640
    assert mode("") == mode("parquet/marts") == 0o750
    assert mode("restricted") == 0o700
    assert mode("restricted/restricted.duckdb") == 0o600


@pytest.mark.parametrize("umask", [0o077, 0o000])
def test_modes_are_set_whatever_the_umask_is(tmp_path: Path, umask: int) -> None:
    """All folders on the way from data_dir, whichever of them a run makes first."""
    root = make_site(tmp_path / "site", site="site_id: small\nmail: {operations: [ops@hospital.example]}\n")
    config = load_site(root).config
    before = os.umask(umask)
    try:
        dagster_home(root)
        with open_build(load_site(root), the_key()):
            pass
        folder = first(make_build(tmp_path / "build" / "doseledger.duckdb"), root / "data/published").folder
        write_data_docs(root / "data", "b1", "page")
        deliver_troubles([Trouble("gate", ("x",))], config, root / "data", {}, date(2024, 4, 1))
    finally:
        os.umask(before)
    passes = [
        folder,
        folder / "parquet",
        *folder.parents[: len(folder.relative_to(root).parts) - 1],
        root / "data/data_docs",
    ]
    assert {path.relative_to(root).as_posix() for path in passes if stat.S_IMODE(path.stat().st_mode) != 0o750} == set()
    assert root / "data" in passes
    closed = [folder / "restricted", *(root / "data" / name for name in ("build", "dagster", "delivery", "outbox"))]
    assert {path.name for path in closed if stat.S_IMODE(path.stat().st_mode) != 0o700} == set()
    files = [path for path in (root / "data/published").rglob("*") if path.is_file()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files if "restricted" in path.parts} == {0o600}
    assert {stat.S_IMODE(path.stat().st_mode) for path in files if "restricted" not in path.parts} == {0o640}


HOLDING = """
import duckdb, sys
held = [duckdb.connect(path) for path in sys.argv[1:]]
print("held", flush=True)
sys.stdin.read()
"""


def test_a_program_that_holds_the_published_files_open_for_writing_stops_nothing(build: Path, published: Path) -> None:
    old = first(build, published)
    files = [str(old.folder / name) for name in ("warehouse.duckdb", "restricted/restricted.duckdb")]
    holder = subprocess.Popen([sys.executable, "-c", HOLDING, *files], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert holder.stdout and holder.stdout.readline() == b"held\n"
        assert [one.run_id for one in publications(published) if one.is_current and one.entry] == [old.run_id]
        with open_published(old.folder / "warehouse.duckdb") as con:
            assert con.execute("select run_id from ledger.publication").fetchall() == [(old.run_id,)]
        new = publish_anew(build, published, "b2")
        assert new.previous_run_id == old.run_id
        with reading(new.folder / "restricted/restricted.duckdb") as con:
            assert con.execute("select count(*) from ledger.publication").fetchone() == (2,)
        assert roll_back(published, LATER).run_id == old.run_id
        assert (published / "current").resolve() == old.folder.resolve()
    finally:
        holder.communicate()


def test_parquet_is_what_the_warehouse_holds(build: Path, published: Path) -> None:
    publication = first(build, published)
    with reading(publication.folder / "warehouse.duckdb") as con:
        names = con.execute(  # of tables and of the views of the rules
            "select distinct schema_name || '.' || table_name from duckdb_columns() where not internal"
        ).fetchall()
        for (name,) in names:
            file = publication.folder / "parquet" / f"{name.replace('.', '/')}.parquet"
            difference = con.execute(
                f"select count(*) from ((from {name} except all from '{file}')"
                f" union all (from '{file}' except all from {name}))"
            ).fetchone()
            assert difference == (0,), name
            assert (pq.read_metadata(file).metadata or {})[b"run_id"] == publication.run_id.encode()
    assert len(list(publication.folder.glob("parquet/*/*.parquet"))) == len(names)


def test_old_duckdb_can_read_it(build: Path, published: Path) -> None:
    header = (first(build, published).folder / "warehouse.duckdb").read_bytes()[:20]
    assert header[8:12] == b"DUCK"
    assert int.from_bytes(header[12:20], "little") == 64  # storage version of DuckDB 0.10 to 1.1


def test_exact_doses_and_descriptions_survive_the_copy(build: Path, published: Path) -> None:
    folder = first(build, published).folder
    with reading(folder / "warehouse.duckdb") as con:
        assert con.execute("select ingested_usv::varchar from ledger.dose_balance").fetchone() == ("120.000000001",)
        assert con.execute(
            "select comment from duckdb_columns() where column_name = 'kap_gy_cm2' and table_name = 'fct_procedure'"
        ).fetchone() == ("KAP, Gy·cm²",)


def test_the_publication_tells_of_itself(build: Path, published: Path) -> None:
    pass_gate(build)
    outcome = publish(build, published, now=datetime(2024, 4, 1, 3, 15, tzinfo=UTC))
    assert isinstance(outcome, Publication)
    assert outcome.run_id.startswith("20240401T031500Z-")
    with reading(outcome.folder / "warehouse.duckdb") as con:
        row = con.execute("select * from ledger.publication").fetchone()
        names = [column[0] for column in con.description or []]
        counts = {
            name: con.execute(f"select count(*) from {name}").fetchone()[0]  # type: ignore[index]
            for name in outcome.rows_by_table
        }
    assert row is not None
    told = dict(zip(names, row, strict=True))
    assert told["run_id"] == outcome.run_id
    assert told["as_of"].isoformat() == "2024-03-31"
    assert told["key_id"] == "k1"
    assert told["contract_version"] == 2
    assert told["checks_passed"] == 30
    assert told["previous_run_id"] is None
    assert json.loads(told["rows_by_table"]) == counts


# --- one publication after another ---------------------------------------------------------------------------------


def test_the_same_again_is_nothing_new(build: Path, published: Path) -> None:
    old = first(build, published)
    add_build(build, "b2")
    pass_gate(build, "b2")
    assert publish(build, published) == NothingNew(old.run_id, old.folder, old.as_of)
    assert len(list((published / "runs").iterdir())) == 1


@pytest.mark.parametrize(
    "sql",
    [
        "update ops.build_input set input_fingerprint = 'f2'",
        "update ops.build set as_of = date '2024-04-01'",
        "delete from ops.build_input",  # dbt was started by hand: nobody knows what it read
    ],
)
def test_new_input_or_as_of_is_published(build: Path, published: Path, sql: str) -> None:
    old = first(build, published)
    change(build, sql)
    new = publish(build, published)
    assert isinstance(new, Publication)
    assert new.previous_run_id == old.run_id
    assert (published / "current").readlink() == Path("runs") / new.run_id


def test_publications_are_carried_on(build: Path, published: Path) -> None:
    runs = [first(build, published).run_id, *(publish_anew(build, published, name).run_id for name in ("b2", "b3"))]
    with reading(published / "current" / "warehouse.duckdb") as con:
        told = con.execute("select run_id, previous_run_id from ledger.publication order by published_at").fetchall()
    assert told == [(runs[0], None), (runs[1], runs[0]), (runs[2], runs[1])]


def test_history_of_a_finding(build: Path, published: Path) -> None:
    one = first(build, published).run_id
    change(build, "update alerts.alert set value = 150, threshold = 110 where alert_id = 'A0'")
    change(build, "create table kept as from alerts.alert where alert_id in ('A1', 'A3')")
    change(build, "delete from alerts.alert where alert_id in ('A1', 'A3')")
    two = publish_anew(build, published, "b2").run_id
    change(build, "insert into alerts.alert from kept")
    three = publish_anew(build, published, "b3").run_id

    def history(run_id: str, file: str) -> dict[str, tuple[object, ...]]:
        with reading(published / "runs" / run_id / file) as con:
            rows = con.execute(
                "select alert_id, first_run, last_run, withdrawn_run, first_value, first_threshold"
                " from ledger.alert_history order by 1"
            ).fetchall()
        return {row[0]: row[1:] for row in rows}

    assert history(two, "warehouse.duckdb")["A0"] == (one, two, None, 120.0, 100.0)
    assert history(two, "warehouse.duckdb")["A1"] == (one, one, two, 120.0, 100.0)
    assert history(three, "warehouse.duckdb")["A1"] == (one, three, None, 120.0, 100.0)
    # A withdrawn restricted finding stays restricted.
    assert set(history(two, "warehouse.duckdb")) == {"A0", "A1", "A2"}
    assert history(two, "restricted/restricted.duckdb")["A3"][2] == two


def judged(build: Path, build_id: str, failing_rows: int) -> None:
    """A verdict with one check, which only warns."""
    check = replace(checks(Settings())[-1], severity="warn")
    failure = Failure(check.table, check.column, check.rule, "warn", failing_rows, [], f"{failing_rows} rows")
    result = CheckResult(check, failing_rows, 0.1, 7.5, failure if failing_rows else None)
    suites = [SuiteVerdict(suite, 1, [], [result] if suite == "plausible" else []) for suite in SUITES]
    with duckdb.connect(build) as con:
        record(con, build_id, Verdict(suites))


def test_history_of_a_check(build: Path, published: Path) -> None:
    runs = []
    for number, failing_rows in enumerate((0, 3, 0), start=1):
        if number > 1:
            add_build(build, f"b{number}", fingerprint=f"f{number}")
        judged(build, f"b{number}", failing_rows)
        outcome = publish(build, published)
        assert isinstance(outcome, Publication)
        runs.append(outcome.run_id)
    for file in ("warehouse.duckdb", "restricted/restricted.duckdb"):
        with reading(published / "current" / file) as con:
            found = con.execute(
                "select run_id, passed, failing_rows, smallest, largest, sentence from ledger.check_result"
                " join ledger.publication using (run_id) order by published_at"
            ).fetchall()
            assert con.execute("select count(distinct check_id) from ledger.check_result").fetchone() == (1,)
        assert found == [
            (runs[0], True, 0, 0.1, 7.5, None),
            (runs[1], False, 3, 0.1, 7.5, "3 rows"),
            (runs[2], True, 0, 0.1, 7.5, None),
        ]


def test_history_goes_on_from_a_publication_without_results_of_checks(build: Path, published: Path) -> None:
    old = first(build, published)
    for file in ("warehouse.duckdb", "restricted/restricted.duckdb"):
        change(old.folder / file, "drop table ledger.check_result")
    add_build(build, "b2", fingerprint="f2")
    judged(build, "b2", 0)
    new = publish(build, published)
    assert isinstance(new, Publication)
    with reading(new.folder / "warehouse.duckdb") as con:
        assert con.execute("select run_id from ledger.check_result").fetchall() == [(new.run_id,)]
        assert con.execute("select count(*) from ledger.publication").fetchone() == (2,)


def test_a_verdict_without_results_of_checks_is_none(build: Path, published: Path) -> None:
    pass_gate(build)
    change(build, "drop table ops.check_result")
    with pytest.raises(PublishRefused, match="has not judged this build"):
        publish(build, published)


def test_history_survives_a_rebuild_of_the_build_database(build: Path, published: Path) -> None:
    one = first(build, published).run_id
    build.unlink()
    make_build(build, fingerprint="f2")
    pass_gate(build)
    publish(build, published)
    with reading(published / "current" / "warehouse.duckdb") as con:
        assert con.execute("select distinct first_run from ledger.alert_history").fetchall() == [(one,)]


def test_an_earlier_as_of_replaces_nothing(build: Path, published: Path) -> None:
    old = first(build, published)
    for name in ("b2", "b3"):  # the second takes the place of the first
        past = publish_anew(build, published, name, as_of="2024-02-29")
        assert not past.is_current
        assert past.folder == published / "as_of" / "2024-02-29"
    assert (published / "current").resolve() == old.folder
    assert [folder.name for folder in (published / "as_of").iterdir()] == ["2024-02-29"]
    with reading(past.folder / "warehouse.duckdb") as con:
        assert con.execute("select max(last_run) from ledger.alert_history").fetchone() == (old.run_id,)
    current = current_publication(published)
    assert current is not None
    assert current.run_id == old.run_id
    assert publish_anew(build, published, "b4").previous_run_id == old.run_id


def test_an_open_reader_finishes_on_the_old_one(build: Path, published: Path) -> None:
    old = first(build, published)
    with reading(published / "current" / "warehouse.duckdb") as con:
        new = publish_anew(build, published, "b2")
        assert con.execute("select run_id from ledger.publication").fetchall() == [(old.run_id,)]
    assert current_publication(published).run_id == new.run_id  # type: ignore[union-attr]


def test_leftovers_of_a_killed_run_are_removed(build: Path, published: Path) -> None:
    old = first(build, published)
    for leftover in ("runs/.20240101T000000Z-abcdef.tmp", "as_of/.20240101T000000Z-abcdef.tmp"):
        (published / leftover).mkdir(parents=True)
        (published / leftover / "warehouse.duckdb").write_bytes(b"half")
    (published / ".current.tmp").symlink_to("runs/nowhere")
    new = publish_anew(build, published, "b2")
    names = {path.relative_to(published).as_posix() for path in published.glob("*")}
    assert names == {"runs", "as_of", "current"}
    assert {path.name for path in (published / "runs").iterdir()} == {old.run_id, new.run_id}
    assert not list((published / "as_of").iterdir())


def test_a_full_disk_leaves_the_old_one(build: Path, published: Path) -> None:
    old = first(build, published)
    add_build(build, "b2", fingerprint="f2")
    pass_gate(build, "b2")
    change(
        build, "alter table marts.fct_procedure rename to gone; create view marts.fct_procedure as select 1 / 0 as x"
    )
    change(build, "create or replace view marts.fct_procedure as select error('disk full') as procedure_id")
    with pytest.raises(duckdb.Error, match="disk full"):
        publish(build, published)
    assert (published / "current").resolve() == old.folder
