"""The event log with open files holds what Dagster's own would: read back by that, after more runs than stay open."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from small_site import make_site

from orchestration.event_log import KEPT_OPEN, OpenEventLogStorage
from orchestration.instance import dagster_home

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
