"""The event log with open files holds what Dagster's own would: read back by that, after more runs than stay open."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from support.small_site import make_site

from orchestration.dagster_home.event_log import KEPT_OPEN, OpenEventLogStorage
from orchestration.dagster_home.instance import dagster_home

pytestmark = pytest.mark.slow
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dg.asset
def counted() -> dg.MaterializeResult[None]:
    return dg.MaterializeResult(metadata={"rows": 3})


def test_dagsters_own_log_reads_every_run(tmp_path: Path) -> None:
    home = dagster_home(make_site(tmp_path / "site"))
    with dg.DagsterInstance.from_config(str(home)) as instance:
        log = instance.event_log_storage
        assert isinstance(log, OpenEventLogStorage)
        results = [dg.materialize([counted], instance=instance, run_config=QUIET) for _ in range(KEPT_OPEN + 2)]
        assert all(result.success for result in results)
        assert len(log._engines) <= KEPT_OPEN
        written = {result.run_id: len(instance.all_logs(result.run_id)) for result in results}
    own = SqliteEventLogStorage(str(home / "history" / "runs"))
    assert {run_id: len(own.get_logs_for_run(run_id)) for run_id in written} == written
    assert min(written.values()) > 5
    own.dispose()


def test_a_table_that_comes_later_is_found(tmp_path: Path) -> None:
    log = OpenEventLogStorage(str(tmp_path))
    own = SqliteEventLogStorage(str(tmp_path))
    with log.index_connection() as connection:
        connection.exec_driver_sql("alter table dynamic_partitions rename to elsewhere")
    for name, is_there in [("dynamic_partitions", False), ("asset_keys", True), ("asset_keys", True)]:
        assert log.has_table(name) == own.has_table(name) == is_there
    with log.index_connection() as connection:
        connection.exec_driver_sql("alter table elsewhere rename to dynamic_partitions")
    assert log.has_table("dynamic_partitions")
    for index in (log.has_secondary_index, own.has_secondary_index):
        assert not index("nothing")
        assert index("asset_key_index_columns")
    for storage in (log, own):
        storage.dispose()
